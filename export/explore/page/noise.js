// The generator of kvae.noise.threefry: the same seed gives the same normals here.

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];
const SLICES = 4096;
const FIXED_POINT = 2 ** 20;

// Threefry-2x32 with 20 rounds; words are int32.
export function threefry2x32(key, counter) {
  const keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1bd11bda];
  let a = (counter[0] + keys[0]) | 0;
  let b = (counter[1] + keys[1]) | 0;
  for (let group = 0; group < 5; group++) {
    for (const bits of ROTATIONS[group % 2]) {
      a = (a + b) | 0;
      b = ((b << bits) | (b >>> (32 - bits))) ^ a;
    }
    a = (a + keys[(group + 1) % 3]) | 0;
    b = (b + keys[(group + 2) % 3] + group + 1) | 0;
  }
  return [a, b];
}

const density = (x) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

// Phi(x) - 1/2 by the series x + x^3/3 + x^5/(3*5) + ..., all terms of one sign.
function aboveHalf(x) {
  let term = x;
  let sum = x;
  for (let k = 3; Math.abs(term) > 1e-18; k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return density(x) * sum;
}

// The means of equally probable slices of N(0, 1/2), in fixed point.
function makeTable() {
  const half = SLICES / 2;
  const border = [density(0)]; // the density at the upper quantiles
  let x = 0;
  for (let i = 1; i < half; i++) {
    for (let step = 0; step < 12; step++) {
      const change = (i / SLICES - aboveHalf(x)) / density(x);
      x += change;
      if (Math.abs(change) < 1e-15) break;
    }
    border.push(density(x));
  }
  border.push(0);
  const means = [];
  for (let i = 0; i < half; i++) means.push((border[i] - border[i + 1]) * SLICES);
  const variance = means.reduce((sum, mean) => sum + mean * mean, 0) / half;
  const scale = (Math.sqrt(0.5) * FIXED_POINT) / Math.sqrt(variance);
  const table = new Int32Array(SLICES);
  means.forEach((mean, i) => {
    table[half + i] = Math.round(mean * scale);
    table[half - 1 - i] = -table[half + i];
  });
  return table;
}

const table = makeTable();

// `num` rows of `dim` standard normals, as float32; row i depends on the key and i alone.
export function normals(key, num, dim) {
  const rows = new Float32Array(num * dim);
  for (let i = 0; i < num; i++) {
    for (let block = 0; 2 * block < dim; block++) {
      const words = threefry2x32(key, [i, block]);
      for (let j = 0; j < 2 && 2 * block + j < dim; j++) {
        const total = table[words[j] >>> 20] + table[(words[j] >>> 8) & 0xfff];
        rows[i * dim + 2 * block + j] = total / FIXED_POINT;
      }
    }
  }
  return rows;
}

// Known answers of the Random123 distribution (counter, key, result), then numbers that
// Python drew when the page was served. Returns what is wrong in words, or "".
export function wrongNoise(drawn) {
  const published = [
    [[0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
    [[-1, -1], [-1, -1], [0x1cb996fc, 0xbb002be7]],
    [[0x243f6a88, 0x85a308d3], [0x13198a2e, 0x03707344], [0xc4923a9c, 0x483df7a0]],
  ];
  for (const [counter, key, expected] of published) {
    const got = threefry2x32(key.map((w) => w | 0), counter.map((w) => w | 0));
    if (got.some((word, i) => word !== (expected[i] | 0))) {
      return "The random generator does not give its published answers.";
    }
  }
  const got = normals(drawn.key, drawn.num, drawn.dim);
  if (drawn.values.some((value, i) => value !== got[i])) {
    return "The random generator does not draw what Python draws.";
  }
  return "";
}
