// People who lie, hang or do handstands: which quarter turns are tried, and which of them is kept
// (everybody/methods/orientation.py, class by class).

import { argmax, mean, roundEven } from "./numbers.js";
import { square } from "./pixels.js";

export const UNKNOWN = [0.25, 0.25, 0.25, 0.25];
export const TURNS = [0, 1, 3, 2]; // in the order in which they are tried

const normal = (values) => {
  const sum = values.reduce((a, b) => a + b, 0);
  return values.map((value) => value / sum);
};

/** The network that tells how likely each quarter turn brings a person upright. */
export class TurnNet {
  constructor(session, row) {
    this.session = session;
    this.input = row.input;
    this.padding = row.padding;
  }

  async likely(image, boxes) {
    if (!boxes.length) return [];
    const [size] = this.input.size;
    const data = new Float32Array(boxes.length * 3 * size * size);
    boxes.forEach((box, n) => {
      square(image, box, size, this.padding, this.input, data, n * 3 * size * size);
    });
    const { turns } = await this.session.run(data, [boxes.length, 3, size, size]);
    return boxes.map((_, n) => Array.from(turns.data.subarray(n * 4, n * 4 + 4)));
  }
}

/** How likely each turn is, by each person's looks and by the others of the picture. */
export function expected(likely, scores, search) {
  const world = normal([0, 1, 2, 3].map((turn) => Math.exp(turn === 0 ? search.prior : 0)));
  const votes = likely.map((row, n) => {
    return normal(row.map((value, turn) => value * world[turn])).map((v) => v * scores[n]);
  });
  const everybody = [0, 1, 2, 3].map((turn) => votes.reduce((sum, vote) => sum + vote[turn], 0));
  return likely.map((row, n) => {
    const others = world.map(
      (value, turn) => search.world * value + everybody[turn] - votes[n][turn],
    );
    const share = normal(others);
    return normal(row.map((value, turn) => Math.max(value, 1e-6) * share[turn]));
  });
}

const confidence = (keypoints) => mean(keypoints.map((joint) => joint[2]));

/** What was found of each person in each turn, as far as it was tried. */
class Tries {
  constructor(sppe, image, boxes) {
    Object.assign(this, { sppe, image, boxes });
    this.found = boxes.map(() => [null, null, null, null]);
  }

  /** wanted: per person, the turns to try. */
  async look(wanted) {
    const pairs = wanted.flatMap((turns, n) => turns.map((turn) => [n, turn]));
    const fresh = pairs.filter(([n, turn]) => !this.found[n][turn]);
    const boxes = fresh.map(([n]) => this.boxes[n]);
    const poses = await this.sppe.posed(
      this.image,
      boxes,
      fresh.map(([, turn]) => turn),
    );
    fresh.forEach(([n, turn], i) => (this.found[n][turn] = poses[i]));
  }

  confidence(n) {
    return Math.max(0, ...this.found[n].filter(Boolean).map(confidence));
  }

  best(n, bonus) {
    const scores = this.found[n].map((pose, turn) => {
      return pose ? confidence(pose) + (turn === 0 ? bonus : 0) : -Infinity;
    });
    return this.found[n][argmax(scores)];
  }
}

/** The joints of people, each in the turn that suits best; `turns`: what is known of each. */
export async function posedInAnyTurn(sppe, net, image, people, numbers, trunk) {
  const boxes = people.map((one) => one.box);
  const scores = people.map((one) => one.score);
  const likely = people.map((one) => one.turns ?? UNKNOWN);
  const known = likely.map((row) => row.some((value) => value !== 0.25));
  const tries = new Tries(sppe, image, boxes);
  const search = numbers.search;

  const guess = expected(likely, scores, search);
  await tries.look(guess.map((row, n) => (known[n] ? [argmax(row)] : [])));
  const unsure = boxes.map((_, n) => tries.confidence(n) < search.sure);
  const asked = boxes.flatMap((_, n) => (unsure[n] ? [n] : []));
  const told = await net.likely(
    image,
    asked.map((n) => boxes[n]),
  );
  asked.forEach((n, i) => (likely[n] = told[i]));

  const sure = expected(likely, scores, search);
  await tries.look(sure.map((row, n) => (unsure[n] ? [argmax(row)] : [])));
  const others = sure.map((row, n) => {
    if (!unsure[n] || tries.confidence(n) >= search.sure) return [];
    const least = Math.max(...row) * Math.exp(-search.worth);
    return [0, 1, 2, 3].filter((turn) => row[turn] >= least && turn !== argmax(row));
  });
  await tries.look(others);
  const poses = boxes.map((_, n) => tries.best(n, numbers.bonus));
  return straightened(sppe, image, boxes, poses, numbers, trunk);
}

/** The same poses; people who lean between two turns are estimated once more, straightened. */
async function straightened(sppe, image, boxes, poses, numbers, trunk) {
  const turns = poses.map((pose, n) => trunkTurn(pose, boxes[n], trunk, numbers));
  const leaning = turns.flatMap((turn, n) => {
    const between = turn !== null && Math.abs(turn - roundEven(turn)) > numbers.leaning;
    return between && confidence(poses[n]) < numbers.well ? [n] : [];
  });
  const again = await sppe.posed(
    image,
    leaning.map((n) => boxes[n]),
    leaning.map((n) => turns[n]),
  );
  const out = [...poses];
  leaning.forEach((n, i) => {
    if (confidence(again[i]) > confidence(poses[n])) out[n] = again[i];
  });
  return out;
}

/** The quarter turns that bring a trunk upright; null where it does not say. */
export function trunkTurn(pose, box, trunk, numbers) {
  const joints = trunk.map((place) => pose[place]);
  if (joints.some((joint) => !(joint[2] > numbers.seen))) return null;
  const between = (axis) =>
    mean([joints[0][axis], joints[1][axis]]) - mean([joints[2][axis], joints[3][axis]]);
  const [x, y] = [between(0), between(1)];
  const side = Math.max(box[2] - box[0], box[3] - box[1]);
  return Math.hypot(x, y) > numbers.long * side ? Math.atan2(x, -y) / (Math.PI / 2) : null;
}

/** What a pose says of its turn, as a hint for the next look. */
export function hint(pose, box, trunk, numbers) {
  const turn = trunkTurn(pose, box, trunk, numbers);
  if (turn === null || Math.abs(turn - roundEven(turn)) >= numbers.leaning) return UNKNOWN;
  const quarter = ((roundEven(turn) % 4) + 4) % 4;
  return [0, 1, 2, 3].map((place) => (place === quarter ? 1 : 0));
}
