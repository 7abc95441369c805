// Heatmaps -> joints: the highest cell, and Newton's step on the logarithm of the smoothed map
// (Zhang et al. 2020, DARK, equations 6 to 9), as everybody/codecs/heatmap.py and refine.py do it.

import { argmax, clamp, roundEven } from "./numbers.js";

const NEAR = 2; // cells around the peak that the derivatives need

/** The rows of a band matrix that smooths around each of the 2 NEAR + 1 cells. */
function kernel(sigma) {
  const radius = Math.max(1, roundEven(2.5 * sigma));
  const weights = [];
  for (let i = -radius; i <= radius; i++) weights.push(Math.exp(-(i * i) / (2 * sigma * sigma)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return { radius, weights: weights.map((weight) => weight / sum) };
}

/** The smoothed cells around (x, y), [5][5]; the map is 0 beyond its border. */
function smoothedAround(map, width, height, x, y, { radius, weights }) {
  const side = 2 * NEAR + 1;
  const reach = NEAR + radius;
  const rows = [];
  for (let v = y - reach; v <= y + reach; v++) {
    const row = new Float64Array(side);
    if (v >= 0 && v < height) {
      for (let i = 0; i < side; i++) {
        for (let k = -radius; k <= radius; k++) {
          const u = x + i - NEAR + k;
          if (u >= 0 && u < width) row[i] += weights[k + radius] * map[v * width + u];
        }
      }
    }
    rows.push(row);
  }
  return Array.from({ length: side }, (_, j) =>
    Array.from({ length: side }, (_, i) => {
      let sum = 0;
      for (let k = 0; k <= 2 * radius; k++) sum += weights[k] * rows[j + k][i];
      return sum;
    }),
  );
}

/** The step from the cell (x, y) to the top of the map; none at its two outermost cells. */
function dark(map, width, height, x, y, smoother) {
  if (x < 2 || y < 2 || x >= width - 2 || y >= height - 2) return [0, 0];
  const near = smoothedAround(map, width, height, x, y, smoother);
  const f = near.map((row) => row.map((value) => Math.log(Math.max(value, 1e-10))));
  const dx = (f[2][3] - f[2][1]) / 2;
  const dy = (f[3][2] - f[1][2]) / 2;
  const dxx = (f[2][4] - 2 * f[2][2] + f[2][0]) / 4;
  const dyy = (f[4][2] - 2 * f[2][2] + f[0][2]) / 4;
  const dxy = (f[3][3] - f[1][3] - f[3][1] + f[1][1]) / 4;
  const determinant = dxx * dyy - dxy * dxy;
  if (!(determinant > 1e-12 && dxx < 0)) return [0, 0];
  const step = [(dxy * dy - dyy * dx) / determinant, (dxy * dx - dxx * dy) / determinant];
  return Math.abs(step[0]) <= 1 && Math.abs(step[1]) <= 1 ? step : [0, 0];
}

/** Heatmaps [N, K, h, w] -> per person K joints [x, y, score] in crop pixels. */
export function decode(maps, [count, joints, height, width], codec) {
  const smoother = kernel(codec.sigma);
  const area = height * width;
  return Array.from({ length: count }, (_, n) =>
    Array.from({ length: joints }, (_, k) => {
      const start = (n * joints + k) * area;
      const map = maps.subarray(start, start + area);
      const best = argmax(map);
      const [x, y] = [best % width, Math.floor(best / width)];
      const step = codec.refine === "dark" ? dark(map, width, height, x, y, smoother) : [0, 0];
      return [
        (x + step[0]) * codec.scale[0] + codec.offset[0],
        (y + step[1]) * codec.scale[1] + codec.offset[1],
        clamp(map[best] / codec.height, 0, 1),
      ];
    }),
  );
}
