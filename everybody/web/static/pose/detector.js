// Picture -> person boxes: letterbox, network, decoding of its cells (everybody/methods/detector.py).

import { boxTurnedBack, clip, suppress } from "./boxes.js";
import { letterbox, turned } from "./pixels.js";

export class Detector {
  /** session: run(array, dims) -> {name: {data, dims}}; row: of models.json. */
  constructor(session, row, size) {
    this.session = session;
    this.input = { ...row.input, size: size ?? row.input.size };
    this.nms = row.nms;
    this.offset = row.offset; // detectors count from the picture's corner
  }

  /** All boxes that score at least `score`, found in the picture turned by quarters. */
  async look(image, turns, score) {
    const view = turned(image, turns);
    const shown = letterbox(view, this.input);
    const said = await this.session.run(shown.data, [1, 3, shown.height, shown.width]);
    const { boxes, scores } = said;
    const [fx, fy] = shown.factors;
    const found = [];
    for (let cell = 0; cell < scores.data.length; cell++) {
      if (!(scores.data[cell] >= score)) continue;
      const box = Array.from(boxes.data.subarray(cell * 4, cell * 4 + 4), (value, i) => {
        return (value + this.offset + 0.5) / (i % 2 ? fy : fx) - 0.5;
      });
      found.push({
        box: boxTurnedBack(box, image.width, image.height, turns),
        score: Math.min(scores.data[cell], 1),
      });
    }
    return found;
  }

  /** Each person once, cut to the picture. */
  chosen(people, image, score) {
    const cut = people.map((one) => ({ ...one, box: clip(one.box, image.width, image.height) }));
    const real = cut.filter(({ box, score: sure }) => {
      return sure >= score && box[2] > box[0] && box[3] > box[1];
    });
    return suppress(real, this.nms);
  }
}
