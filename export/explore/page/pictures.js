// From the numbers of one example to pixels.

// The form of a picture: rows, columns, channels; a vector becomes a row of bars.
export function formOf(shape) {
  const [first, second, third] = shape;
  if (shape.length === 2) return { height: first, width: second, channels: 1 };
  if (shape.length === 3 && (third === 1 || third === 3)) {
    return { height: first, width: second, channels: third };
  }
  const size = shape.reduce((a, b) => a * b, 1);
  return { height: 48, width: 3 * size, channels: 0 };
}

export function toImage(values, form, [low, high]) {
  const image = new ImageData(form.width, form.height);
  const level = (value) => Math.min(1, Math.max(0, (value - low) / (high - low)));
  if (form.channels === 0) {
    drawBars(image, values, form, level);
    return image;
  }
  for (let i = 0; i < form.width * form.height; i++) {
    for (let c = 0; c < 3; c++) {
      const from = form.channels === 3 ? 3 * i + c : i;
      image.data[4 * i + c] = Math.round(255 * level(values[from]));
    }
    image.data[4 * i + 3] = 255;
  }
  return image;
}

// The picture in gray, and red where it is unusual: `full` nats and more are all red.
export function toHeat(values, nats, form, range, full) {
  const red = [0.86, 0.1, 0.12];
  const image = toImage(values, form, range);
  for (let i = 0; i < form.width * form.height; i++) {
    const pixel = image.data.subarray(4 * i, 4 * i + 3);
    const light = 0.15 + (0.7 * (pixel[0] + pixel[1] + pixel[2])) / (3 * 255);
    let sum = 0;
    for (let c = 0; c < form.channels; c++) sum += nats[form.channels * i + c];
    const heat = Math.min(1, Math.max(0, sum / full));
    red.forEach((color, c) => {
      pixel[c] = Math.round(255 * ((1 - heat) * light + heat * color));
    });
  }
  return image;
}

// A file's picture as the model takes it: its middle, in the form of the data.
export async function fromFile(file, form, [low, high]) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(bitmap.width / form.width, bitmap.height / form.height);
  const [width, height] = [scale * form.width, scale * form.height];
  const [left, top] = [(bitmap.width - width) / 2, (bitmap.height - height) / 2];
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: form.width, height: form.height });
  const paper = canvas.getContext("2d");
  paper.imageSmoothingQuality = "high";
  paper.drawImage(bitmap, left, top, width, height, 0, 0, form.width, form.height);
  const { data } = paper.getImageData(0, 0, form.width, form.height);
  const values = new Float32Array(form.width * form.height * form.channels);
  values.forEach((_, k) => {
    const at = 4 * Math.floor(k / form.channels);
    const level =
      form.channels === 3
        ? data[at + (k % 3)]
        : 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
    values[k] = low + ((high - low) * level) / 255;
  });
  return values;
}

function drawBars(image, values, form, level) {
  for (let x = 0; x < form.width; x++) {
    const tall = x % 3 === 2 ? 0 : level(values[Math.floor(x / 3)]) * form.height;
    for (let y = 0; y < form.height; y++) {
      const shade = form.height - y <= tall ? 230 : 20;
      image.data.set([shade, shade, shade, 255], 4 * (y * form.width + x));
    }
  }
}

export function show(canvas, image) {
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
