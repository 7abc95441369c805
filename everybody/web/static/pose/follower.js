// People over time: between detections a pose is looked for where the last one, moved on at its
// speed, is expected. The detector runs a few times a second and where somebody is lost.
//
// A small sibling of everybody/follow.py and track/tracker.py: ids are given by overlap and by the
// similarity of poses (OKS, Lin et al. 2014), without looks and without a camera's motion.

import { area, boxAround, iou } from "./boxes.js";
import { mean } from "./numbers.js";
import { hint } from "./turns.js";

const MATCH = 0.3; // least likeness of a person and a track
const MARGIN = 0.12; // of the joints' extent between them and the box
const SEEN = 0.2; // joints that score less do not shape the box
const MEMORY = 1.0; // seconds that an unseen person is remembered
const SPEED = 0.5; // share of a new speed in the remembered one
const SIGMA = 0.08; // a joint's fall-off, as OKS has it, of the square root of the area

export class Follower {
  /** first: the first id. */
  constructor(estimator, first = 1) {
    this.estimator = estimator;
    this.tracks = [];
    this.next = first;
    this.looked = -Infinity;
    this.lost = true;
  }

  /** The next frame, at a time in seconds -> its people with ids. */
  async people(image, time) {
    const { blind } = this.estimator.numbers.follow;
    const gone = time < this.looked;
    if (gone) this.tracks = [];
    if (gone || this.lost || time - this.looked >= blind || !this.tracks.length) {
      this.looked = time;
      return this.#named(await this.estimator.people(image), time, true);
    }
    return this.#named(await this.#expected(image, time), time, false);
  }

  /** Poses of those who are expected, where they are expected. */
  async #expected(image, time) {
    const { turns } = this.estimator.numbers;
    const { trunk } = this.estimator;
    const people = this.tracks.map((track) => {
      const ahead = Math.min(time - track.time, MEMORY);
      const [dx, dy] = track.speed.map((speed) => speed * ahead);
      const [x0, y0, x1, y1] = track.box;
      return {
        box: [x0 + dx, y0 + dy, x1 + dx, y1 + dy],
        score: track.boxScore,
        turns: hint(track.keypoints, track.box, trunk, turns),
      };
    });
    const posed = await this.estimator.pose(image, people);
    return posed.map((one) => {
      return { ...one, box: boxAround(one.keypoints, SEEN, MARGIN) ?? one.box };
    });
  }

  /** Gives ids: the likeliest pairs of tracks and people first, then new ones. */
  #named(people, time, detected) {
    const { clear } = this.estimator.numbers.follow;
    const sure = (one) => mean(one.keypoints.map((joint) => joint[2]));
    const there = detected ? people : people.filter((one) => sure(one) >= clear);
    const pairs = this.tracks.flatMap((track) =>
      there.map((one) => [likeness(track, one), track, one]),
    );
    const taken = new Map();
    for (const [like, track, one] of pairs.sort((a, b) => b[0] - a[0])) {
      if (like < MATCH || taken.has(one) || [...taken.values()].includes(track)) continue;
      taken.set(one, track);
    }
    const found = there
      .filter((one) => taken.has(one) || detected)
      .map((one) => this.#moved(taken.get(one), one, time));
    const unseen = this.tracks.filter((track) => !found.some((one) => one.id === track.id));
    this.lost = !detected && unseen.some((track) => track.time > time - MEMORY / 2);
    const remembered = unseen.filter((track) => time - track.time < MEMORY);
    this.tracks = [...found, ...remembered];
    return found.map(({ id, box, score, keypoints }) => ({ id, box, score, keypoints }));
  }

  #moved(track, one, time) {
    if (!track) return { ...one, id: this.next++, time, speed: [0, 0] };
    const step = Math.max(time - track.time, 1e-3);
    const speed = [0, 1].map((axis) => {
      const now =
        (one.box[axis] + one.box[axis + 2] - track.box[axis] - track.box[axis + 2]) / 2 / step;
      return track.speed[axis] + SPEED * (now - track.speed[axis]);
    });
    return { ...one, id: track.id, time, speed };
  }
}

function likeness(track, one) {
  const scale = 2 * area(track.box) * (2 * SIGMA) ** 2;
  const alike = one.keypoints.map(([x, y], k) => {
    const [u, v] = track.keypoints[k];
    return Math.exp(-((x - u) ** 2 + (y - v) ** 2) / Math.max(scale, 1));
  });
  return (mean(alike) + iou(track.box, one.box)) / 2;
}
