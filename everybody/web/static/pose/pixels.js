// What a network is fed: pictures and crops of its size, as planes [3, H, W] of normalised floats.
//
// Integer coordinates are centres of pixels, here as in the library (everybody/inputs.py). A picture
// is {data: RGBA bytes, width, height}, as ImageData is.

import { clamp, roundEven } from "./numbers.js";

const STRIDE = 32; // sides of a dynamic input are multiples of this
const ONE = 2048; // in which OpenCV counts the weights of a resize

/** For each channel of the network: its place in RGBA and the normalised value of each byte. */
function channels(input) {
  const order = input.channels === "bgr" ? [2, 1, 0] : [0, 1, 2];
  return order.map((place, channel) => {
    const table = new Float32Array(256);
    for (let byte = 0; byte < 256; byte++) {
      table[byte] = (byte - input.mean[channel]) / input.std[channel];
    }
    return { place, table };
  });
}

/** Planes full of the input's grey. */
function blank(input, width, height, out, start) {
  const area = width * height;
  channels(input).forEach(({ table }, channel) => {
    out.fill(table[input.fill], start + channel * area, start + (channel + 1) * area);
  });
}

/** Source columns (or rows) and weights, in 2048ths, of a bilinear resize by half-pixel centres. */
function taps(from, to) {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const weight = new Int32Array(to);
  for (let i = 0; i < to; i++) {
    const at = clamp(Math.fround((i + 0.5) * (from / to) - 0.5), 0, from - 1);
    first[i] = Math.floor(at);
    second[i] = Math.min(first[i] + 1, from - 1);
    weight[i] = roundEven((at - first[i]) * ONE);
  }
  return { first, second, weight };
}

/** Resizes a picture into a corner of planes `out`, which are `wide` and `high`; to the bit as
 * OpenCV does it, in whole numbers. */
function resizeInto(image, columns, rows, input, out, wide, high, left = 0, top = 0) {
  const { data, width } = image;
  const across = taps(image.width, columns);
  const down = taps(image.height, rows);
  const area = wide * high;
  channels(input).forEach(({ place, table }, channel) => {
    for (let y = 0; y < rows; y++) {
      const upper = down.first[y] * width;
      const lower = down.second[y] * width;
      const fy = down.weight[y];
      let to = channel * area + (top + y) * wide + left;
      for (let x = 0; x < columns; x++) {
        const a = across.first[x];
        const b = across.second[x];
        const fx = across.weight[x];
        const above =
          data[(upper + a) * 4 + place] * (ONE - fx) + data[(upper + b) * 4 + place] * fx;
        const below =
          data[(lower + a) * 4 + place] * (ONE - fx) + data[(lower + b) * 4 + place] * fx;
        const sum = (((ONE - fy) * (above >> 4)) >> 16) + ((fy * (below >> 4)) >> 16);
        out[to++] = table[(sum + 2) >> 2];
      }
    }
  });
}

/** The picture scaled to fit, at the top left of grey planes that are no larger than needed. */
export function letterbox(image, input) {
  const [most, highest] = input.size;
  const ratio = Math.min(most / image.width, highest / image.height);
  const columns = Math.max(1, roundEven(image.width * ratio));
  const rows = Math.max(1, roundEven(image.height * ratio));
  const width = Math.ceil(columns / STRIDE) * STRIDE;
  const height = Math.ceil(rows / STRIDE) * STRIDE;
  const data = new Float32Array(3 * width * height);
  blank(input, width, height, data, 0);
  resizeInto(image, columns, rows, input, data, width, height);
  return { data, width, height, factors: [columns / image.width, rows / image.height] };
}

/** What `matrix` [2, 3] (picture to crop) puts into a crop of the input's size, into `out`. */
export function crop(image, matrix, input, out, start) {
  const { data, width, height } = image;
  const [wide, high] = input.size;
  const [a, b, c, d, e, f] = inverse(matrix);
  const area = wide * high;
  const looks = channels(input);
  const row = width * 4;
  const corners = [0, 0, 0, 0];
  for (let v = 0; v < high; v++) {
    for (let u = 0; u < wide; u++) {
      const x = a * u + b * v + c;
      const y = d * u + e * v + f;
      const x0 = Math.floor(x);
      const y0 = Math.floor(y);
      const fx = x - x0;
      const fy = y - y0;
      const inside = x0 >= 0 && y0 >= 0 && x0 < width - 1 && y0 < height - 1;
      for (let channel = 0; channel < 3; channel++) {
        const { place, table } = looks[channel];
        const at = y0 * row + x0 * 4 + place;
        if (inside) {
          corners[0] = data[at];
          corners[1] = data[at + 4];
          corners[2] = data[at + row];
          corners[3] = data[at + row + 4];
        } else atEdge(image, x0, y0, place, input.fill, corners);
        const upper = corners[0] + (corners[1] - corners[0]) * fx;
        const lower = corners[2] + (corners[3] - corners[2]) * fx;
        out[start + channel * area + v * wide + u] =
          table[(upper + (lower - upper) * fy + 0.5) | 0];
      }
    }
  }
}

/** The values of four neighbours, `grey` beyond the picture's edge. */
function atEdge({ data, width, height }, x0, y0, place, grey, corners) {
  for (let n = 0; n < 4; n++) {
    const x = x0 + (n & 1);
    const y = y0 + (n >> 1);
    const inside = x >= 0 && x < width && y >= 0 && y < height;
    corners[n] = inside ? data[(y * width + x) * 4 + place] : grey;
  }
}

/** The inverse of a transform [a, b, c, d, e, f], rows of [2, 3]. */
export function inverse([a, b, c, d, e, f]) {
  const det = a * e - b * d;
  const [p, q, r, s] = [e / det, -b / det, -d / det, a / det];
  return [p, q, -(p * c + q * f), r, s, -(r * c + s * f)];
}

/** The square around a box grown by `padding`, to the pixel, into planes of side `size`. */
export function square(image, box, size, padding, input, out, start) {
  blank(input, size, size, out, start);
  const longer = Math.max(box[2] - box[0], box[3] - box[1], 1) * padding;
  const side = Math.max(roundEven(longer), 1);
  const first = [0, 1].map((axis) =>
    Math.floor((box[axis] + box[axis + 2]) / 2 - longer / 2 + 0.5),
  );
  const sizes = [image.width, image.height];
  const low = first.map((at, axis) => clamp(at, 0, sizes[axis]));
  const high = first.map((at, axis) => clamp(at + side, 0, sizes[axis]));
  const [left, top] = low.map((at, axis) => roundEven(((at - first[axis]) * size) / side));
  const [right, bottom] = high.map((at, axis) => roundEven(((at - first[axis]) * size) / side));
  if (right <= left || bottom <= top) return;
  let part = cut(image, low, high);
  while (part.width >= 2 * (right - left) && part.height >= 2 * (bottom - top)) part = halved(part);
  const planes = out.subarray(start, start + 3 * size * size);
  resizeInto(part, right - left, bottom - top, input, planes, size, size, left, top);
}

function cut(image, [x0, y0], [x1, y1]) {
  const [width, height] = [x1 - x0, y1 - y0];
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    const from = ((y0 + y) * image.width + x0) * 4;
    data.set(image.data.subarray(from, from + width * 4), y * width * 4);
  }
  return { data, width, height };
}

/** The mean of each two by two pixels. */
function halved(image) {
  const [width, height] = [image.width >> 1, image.height >> 1];
  const data = new Uint8ClampedArray(width * height * 4);
  const row = image.width * 4;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 2 * y * row + 8 * x;
      for (let c = 0; c < 4; c++) {
        const at = from + c;
        const sum =
          image.data[at] + image.data[at + 4] + image.data[at + row] + image.data[at + row + 4];
        data[(y * width + x) * 4 + c] = (sum + 2) >> 2;
      }
    }
  }
  return { data, width, height };
}

/** The picture turned by quarters against the clock, as np.rot90 does. */
export function turned(image, quarters) {
  if (quarters % 4 === 0) return image;
  const from = new Uint32Array(
    image.data.buffer,
    image.data.byteOffset,
    image.width * image.height,
  );
  const flat = quarters % 2 === 0;
  const [width, height] = flat ? [image.width, image.height] : [image.height, image.width];
  const to = new Uint32Array(width * height);
  const place = {
    1: (x, y) => (image.width - 1 - x) * width + y,
    2: (x, y) => (height - 1 - y) * width + (width - 1 - x),
    3: (x, y) => x * width + (width - 1 - y),
  }[quarters];
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) to[place(x, y)] = from[y * image.width + x];
  }
  return { data: new Uint8ClampedArray(to.buffer), width, height };
}
