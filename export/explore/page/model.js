// The exported model in LiteRT.js, on the processor: the GPU path computes some integer
// operations wrongly without saying so.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

import { normals } from "/noise.js";

export async function loadModel(about) {
  await loadLiteRt("/npm/@litertjs/core/wasm/");
  const options = { accelerator: "wasm" };
  const load = (name) => loadAndCompile(`/model/${name}.tflite`, options);
  return new Model(
    about,
    await load("decode"),
    about.latents === "file" ? await load("latents") : null,
    about.detect === null ? null : await load("detect"),
  );
}

class Model {
  constructor(about, decoder, sampler, detector) {
    this.about = about;
    this.decoder = decoder;
    this.sampler = sampler;
    this.detector = detector;
  }

  // The mean of p(x|z): z is a Float32Array of latent_dim numbers.
  async decode(z, condition) {
    const inputs = { z: new Tensor(z.slice(), [1, ...this.about.latent_shape]) };
    this.#addCondition(inputs, condition, 1);
    return (await run(this.decoder.signatures.decode, inputs)).mean;
  }

  // `num` latents of the prior, one after the other; the seed means what it does in Python.
  async latents(seed, temperature, condition) {
    const { num, latent_dim: dim } = this.about;
    const factor = Math.fround(temperature);
    if (this.sampler === null) {
      return normals([seed, 0], num, dim).map((value) => factor * value);
    }
    const inputs = {
      seed: new Tensor(Int32Array.of(seed, 0), [2]),
      temperature: new Tensor(Float32Array.of(factor), [1]),
    };
    this.#addCondition(inputs, condition, num);
    return (await run(this.sampler, inputs)).z;
  }

  // The score, the decision, and where: x is a Float32Array of one example's numbers.
  async detect(x, condition) {
    const inputs = { x: new Tensor(x.slice(), [1, ...this.about.data_shape]) };
    this.#addCondition(inputs, condition, 1);
    return run(this.detector.signatures.detect, inputs);
  }

  #addCondition(inputs, condition, rows) {
    const about = this.about.condition;
    if (about === null) return;
    const array = about.dtype === "int32" ? Int32Array : Float32Array;
    const values = Array.from({ length: rows }, () => condition).flat();
    inputs.condition = new Tensor(array.from(values), [rows, ...about.shape]);
  }
}

async function run(model, inputs) {
  const outputs = await model.run(inputs);
  try {
    const arrays = {};
    for (const [name, tensor] of Object.entries(outputs)) {
      arrays[name] = (await tensor.data()).slice();
    }
    return arrays;
  } finally {
    for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) {
      tensor.delete();
    }
  }
}
