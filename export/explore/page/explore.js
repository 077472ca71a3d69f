// The page: what is chosen, and one loop that draws whatever has become stale.

import { makeCondition } from "/condition.js";
import { makeDetection } from "/detection.js";
import { loadModel } from "/model.js";
import { wrongNoise } from "/noise.js";
import { formOf, show, toImage } from "/pictures.js";

const SLIDERS = 16;
const STRENGTH = 2; // attributes reach from -2 to 2 times their direction
const CELLS = 9; // of the map, in each direction
const find = (id) => document.getElementById(id);

let about, model, form, condition, detection;
const state = {
  z: null, // the one code
  latents: null, // of the samples, one after the other
  means: [], // of the samples
  single: null, // the mean of the one code
  chosen: 0, // the sample that the code came from, or -1
  strengths: [], // of the attributes that were added to the code
  span: 3, // sliders and map reach from -span to span
};
const stale = { latents: true, grid: 0, single: false, map: 0, detection: false };
let wake = () => {};
let busy = true;

function refresh(changes) {
  Object.assign(stale, changes);
  busy = true;
  wake();
}

// === Drawing: what is nearest to the finger first ===

async function drawForEver() {
  let rested = performance.now();
  for (;;) {
    if (stale.latents) await drawLatents();
    else if (stale.single) await drawSingle();
    else if (stale.detection) await drawDetection();
    else if (stale.grid < about.num && state.latents) await drawSample(stale.grid++);
    else if (stale.map < CELLS * CELLS) await drawCell(stale.map++);
    else {
      busy = false;
      await new Promise((resolve) => (wake = resolve));
      continue;
    }
    if (performance.now() - rested > 12) {
      await new Promise((resolve) => setTimeout(resolve, 0)); // let the page breathe
      rested = performance.now();
    }
  }
}

async function drawLatents() {
  stale.latents = false;
  if (about.latents === null) return;
  const seed = Number(find("seed").value);
  const temperature = Number(find("temperature").value);
  state.latents = await model.latents(seed, temperature, condition.value());
  stale.grid = 0;
  if (state.chosen >= 0) choose(state.chosen);
}

async function drawSingle() {
  stale.single = false;
  state.single = await model.decode(state.z, condition.value());
  show(find("single"), toImage(state.single, form, about.range));
}

async function drawDetection() {
  stale.detection = false;
  const { x } = detection.state;
  detection.tell(x, await model.detect(x, condition.value()));
}

async function drawSample(i) {
  const { latents } = state;
  const mean = await model.decode(row(i), condition.value());
  if (latents !== state.latents) return; // another seed in the meantime
  state.means[i] = mean;
  show(find("grid").children[i].firstChild, toImage(mean, form, about.range));
}

const background = document.createElement("canvas");
let gap = 0; // between the pictures on the map

async function drawCell(cell) {
  const z = state.z.slice();
  const place = (k) => state.span * ((2 * k + 1) / CELLS - 1);
  z[axis("across")] = place(cell % CELLS);
  z[axis("up")] = -place(Math.floor(cell / CELLS));
  const mean = await model.decode(z, condition.value());
  background.getContext("2d").putImageData(
    toImage(mean, form, about.range),
    (cell % CELLS) * (form.width + gap) + gap / 2,
    Math.floor(cell / CELLS) * (form.height + gap) + gap / 2,
  );
  if (cell % CELLS === CELLS - 1) drawMap();
}

function drawMap() {
  const canvas = find("map");
  const paper = canvas.getContext("2d");
  const size = (canvas.width = canvas.height = 630);
  paper.imageSmoothingEnabled = false;
  paper.drawImage(background, 0, 0, size, size);
  const x = (size / 2) * (1 + state.z[axis("across")] / state.span);
  const y = (size / 2) * (1 - state.z[axis("up")] / state.span);
  for (const [color, width] of [["#000", 9], ["#ff5a4f", 5]]) {
    paper.beginPath();
    paper.arc(x, y, 14, 0, 2 * Math.PI);
    paper.strokeStyle = color;
    paper.lineWidth = width;
    paper.stroke();
  }
}

// === What is chosen ===

const axis = (id) => Number(find(id).value);
const label = (d) =>
  about.rates === null ? `z${d}` : `z${d} (${about.rates[d].toFixed(1)} nats)`;
const row = (i) =>
  state.latents.slice(i * about.latent_dim, (i + 1) * about.latent_dim);

function choose(i) {
  forgetAttributes();
  state.chosen = i;
  state.z = row(i);
  moved(true);
}

// The code has changed: sliders, marker and picture follow; so does the map, unless only
// its own two dimensions moved.
function moved(map) {
  [...find("sliders").children].forEach((field, i) => {
    const d = about.order[i];
    field.lastChild.value = state.z[d];
    field.querySelector("output").value = state.z[d].toFixed(2);
  });
  [...find("grid").children].forEach((button, i) =>
    button.setAttribute("aria-pressed", String(i === state.chosen)),
  );
  drawMap();
  refresh(map ? { single: true, map: 0 } : { single: true });
}

// A step along the direction from codes without the attribute to codes with it.
function addAttribute(i, strength) {
  state.chosen = -1;
  const step = strength - state.strengths[i];
  about.attributes.vectors[i].forEach((v, d) => (state.z[d] += step * v));
  state.strengths[i] = strength;
  find("attributes").children[i].querySelector("output").value = strength.toFixed(2);
  moved(true);
}

function forgetAttributes() {
  [...find("attributes").children].forEach((field, i) => {
    state.strengths[i] = 0;
    field.lastChild.value = 0;
    field.querySelector("output").value = "0.00";
  });
}

function set(dimension, value) {
  state.chosen = -1;
  state.z[dimension] = Math.max(-state.span, Math.min(state.span, value));
}

// === Controls ===

function makeControls() {
  const { latent_dim: dim, num } = about;
  for (let i = 0; i < num && about.latents !== null; i++) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `sample ${i}`);
    button.append(document.createElement("canvas"));
    button.addEventListener("click", () => choose(i));
    find("grid").append(button);
  }
  for (const d of about.order.slice(0, SLIDERS)) {
    const slid = (value) => {
      set(d, value);
      moved(d !== axis("across") && d !== axis("up"));
    };
    find("sliders").append(makeSlider(label(d), state.span, slid));
  }
  about.attributes?.names.forEach((name, i) => {
    const slid = (strength) => addAttribute(i, strength);
    find("attributes").append(makeSlider(name, STRENGTH, slid));
    find("attributes-field").hidden = false;
  });
  forgetAttributes();
  const left = dim - SLIDERS;
  find("rest").textContent =
    left > 0 ? `The other ${left} dimensions keep the values of the chosen sample.` : "";
  for (const [id, place] of [["across", 0], ["up", Math.min(1, dim - 1)]]) {
    for (const d of about.order) find(id).append(new Option(label(d), d));
    find(id).value = about.order[place];
    find(id).addEventListener("change", () => moved(true));
  }
  find("origin").addEventListener("click", () => {
    forgetAttributes();
    state.chosen = -1;
    state.z = new Float32Array(dim);
    moved(true);
  });
  find("temperature").addEventListener("input", () => {
    find("temperature-shown").value = Number(find("temperature").value).toFixed(2);
    refresh({ latents: true });
  });
  find("seed").addEventListener("input", () => {
    if (find("seed").checkValidity() && find("seed").value) refresh({ latents: true });
  });
  find("another").addEventListener("click", () => {
    find("seed").value = (Number(find("seed").value) + 1) % 2 ** 31;
    refresh({ latents: true });
  });
  makeMapControls();
}

function makeSlider(name, reach, slid) {
  const field = document.createElement("label");
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", step: "any", min: -reach, max: reach, value: 0 });
  slider.addEventListener("input", () => slid(Number(slider.value)));
  field.append(`${name} `, document.createElement("output"), slider);
  return field;
}

function makeMapControls() {
  const canvas = find("map");
  const follow = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width;
    const y = (event.clientY - box.top) / box.height;
    set(axis("across"), state.span * (2 * x - 1));
    set(axis("up"), state.span * (1 - 2 * y));
    moved(false);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    follow(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) follow(event);
  });
  canvas.addEventListener("keydown", (event) => {
    const steps = {
      ArrowLeft: ["across", -1], ArrowRight: ["across", 1],
      ArrowDown: ["up", -1], ArrowUp: ["up", 1],
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [id, sign] = steps[event.key];
    set(axis(id), state.z[axis(id)] + (sign * state.span) / 20);
    moved(false);
  });
}

// === Start ===

async function start() {
  about = await (await fetch("/model.json")).json();
  find("name").textContent = about.name;
  document.title = `${about.name} - kvae explore`;
  find("facts").textContent = about.facts;
  const wrong = wrongNoise(about.drawn);
  if (wrong) throw new Error(wrong);
  form = formOf(about.data_shape);
  condition = makeCondition(about.condition, () =>
    refresh({
      latents: true, grid: 0, single: true, map: 0, detection: about.detect !== null,
    }),
  );
  state.z = new Float32Array(about.latent_dim);
  model = await loadModel(about);
  if (about.latents !== null) {
    const usual = await model.latents(0, 1, condition.value());
    const far = usual.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    state.span = Math.max(3, Math.ceil(far));
  }
  gap = 2 * Math.ceil(form.width / 16);
  background.width = CELLS * (form.width + gap);
  background.height = CELLS * (form.height + gap);
  makeControls();
  const judge = () => refresh({ detection: true });
  detection = makeDetection(about.detect, form, about.range, () => state.single, judge);
  moved(true);
  find("status").textContent = about.note;
  // For the console, and for tests: the numbers behind the pictures.
  globalThis.kvae = {
    state, detection: detection.state, order: about.order, isBusy: () => busy,
  };
  await drawForEver();
}

start().catch((error) => {
  find("status").className = "failed";
  find("status").textContent = `This does not work here: ${error.message ?? error}`;
  throw error;
});
