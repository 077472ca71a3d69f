// The section that says whether a picture is unusual, and where.

import { fromFile, show, toHeat, toImage } from "/pictures.js";

const find = (id) => document.getElementById(id);

// `about` is null, or what the detector decides with and examples; `changed` is called
// when there is another picture to judge.
export function makeDetection(about, form, range, decoded, changed) {
  const state = { x: null, found: null };
  if (about === null) return { state };
  find("detection").hidden = false;
  find("heat-caption").textContent =
    `Where it is unusual: full red is ${about.full.toFixed(1)} nats above usual or more.`;
  const take = (x, example) => {
    state.x = Float32Array.from(x);
    find("example").value = example;
    if (example !== "") find("picture-file").value = "";
    show(find("picture"), toImage(state.x, form, range));
    changed();
  };
  const none = Object.assign(new Option("none", ""), { disabled: true });
  find("example").append(none);
  about.examples.forEach((_, i) => find("example").append(new Option(i, i)));
  find("example").addEventListener("change", () => {
    take(about.examples[find("example").value], find("example").value);
  });
  find("decoded").addEventListener("click", () => {
    find("picture-file").value = "";
    take(decoded(), "");
  });
  find("picture-file").addEventListener("change", async () => {
    const [file] = find("picture-file").files;
    if (!file) return;
    try {
      take(await fromFile(file, form, range), "");
    } catch {
      find("verdict").textContent = `${file.name} is not a picture that can be read here.`;
    }
  });
  makeBrush(state, form, range, (x) => take(x, ""));
  take(about.examples[0], "0");
  const shown = (x, found) => {
    state.found = found;
    tell(x, found, about, form, range);
  };
  return { state, tell: shown };
}

function tell(x, found, about, form, range) {
  show(find("heat"), toHeat(x, found.attribution, form, range, about.full));
  const [anomaly, p, score] = [found.is_anomaly[0], found.p_value[0], found.score[0]];
  find("verdict").classList.toggle("anomaly", anomaly === 1);
  find("verdict").textContent =
    `${anomaly ? "An anomaly" : "Normal"} at alpha = ${about.alpha}`;
  find("p-value").textContent =
    `${p.toPrecision(2)}, from the rank among ${about.calibration_examples} normal examples`;
  find("score").textContent = `${score.toPrecision(4)} ${about.unit}, ${about.score}`;
  find("alpha").textContent =
    `at most ${100 * about.alpha} % of normal examples are called anomalies`;
}

// Paints with what is far from the pixel where the finger came down.
function makeBrush(state, form, range, painted) {
  const canvas = find("picture");
  const radius = Math.max(1, form.width / 16) / 2;
  let ink = 0;
  const paint = (event, begins) => {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * form.width;
    const y = ((event.clientY - box.top) / box.height) * form.height;
    const values = state.x.slice();
    const at = form.channels * (form.width * Math.floor(y) + Math.floor(x));
    if (begins) ink = values[at] > (range[0] + range[1]) / 2 ? range[0] : range[1];
    for (let k = 0; k < values.length; k++) {
      const pixel = Math.floor(k / form.channels);
      const across = (pixel % form.width) + 0.5 - x;
      const down = Math.floor(pixel / form.width) + 0.5 - y;
      if (Math.max(Math.abs(across), Math.abs(down)) <= radius) values[k] = ink;
    }
    painted(values);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    paint(event, true);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) paint(event, false);
  });
}
