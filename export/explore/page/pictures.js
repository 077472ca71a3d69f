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
