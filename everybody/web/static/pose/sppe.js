// Boxes -> crops -> network -> joints in the picture (everybody/methods/sppe.py).

import { cropMatrix } from "./boxes.js";
import { decode } from "./heatmap.js";
import { crop, inverse } from "./pixels.js";

const VISIBLE = 0.2; // joints that score more than this count in the person's score
const MOST = 8; // crops in one call of the network

export class Sppe {
  constructor(session, row) {
    this.session = session;
    this.input = row.input;
    this.codec = row.codec;
    this.padding = row.padding;
  }

  /** Boxes and the turn of each -> per box K joints [x, y, score] in the picture. */
  async posed(image, boxes, turns) {
    const found = [];
    for (let start = 0; start < boxes.length; start += MOST) {
      const some = boxes.slice(start, start + MOST);
      found.push(...(await this.#batch(image, some, turns.slice(start, start + MOST))));
    }
    return found;
  }

  async #batch(image, boxes, turns) {
    const [width, height] = this.input.size;
    const data = new Float32Array(boxes.length * 3 * width * height);
    const matrices = boxes.map((box, n) => {
      const matrix = cropMatrix(box, this.input.size, this.padding, turns[n]);
      crop(image, matrix, this.input, data, n * 3 * width * height);
      return matrix;
    });
    const { heatmaps } = await this.session.run(data, [boxes.length, 3, height, width]);
    return decode(heatmaps.data, heatmaps.dims, this.codec).map((joints, n) => {
      const [a, b, c, d, e, f] = inverse(matrices[n]);
      return joints.map(([x, y, score]) => [a * x + b * y + c, d * x + e * y + f, score]);
    });
  }
}

/** The person's score: that of the box by the mean of the visible joints (Papandreou et al. 2017). */
export function personScore(boxScore, keypoints) {
  const seen = keypoints.filter((joint) => joint[2] > VISIBLE);
  return seen.length
    ? (boxScore * seen.reduce((sum, joint) => sum + joint[2], 0)) / seen.length
    : 0;
}
