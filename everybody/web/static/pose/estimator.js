// One picture -> people: detector, search for turns, poses, pose NMS, as `everybody.Estimator` does.

import { Detector } from "./detector.js";
import { distinct } from "./posenms.js";
import { personScore, Sppe } from "./sppe.js";
import { expected, posedInAnyTurn, TurnNet, TURNS, UNKNOWN } from "./turns.js";

const TRUNK = ["left_shoulder", "right_shoulder", "left_hip", "right_hip"];

export class Estimator {
  /** models: models.json; variant: "fast" or "accurate"; sessions: {detector, pose, turn}. */
  constructor(models, variant, sessions) {
    const pair = models.variants[variant];
    this.numbers = models.numbers;
    this.skeleton = models.skeletons[models.models[pair.pose].skeleton];
    this.trunk = TRUNK.map((name) => this.skeleton.joints.indexOf(name));
    this.detector = new Detector(sessions.detector, models.models[pair.detector], pair.det_size);
    this.sppe = new Sppe(sessions.pose, models.models[pair.pose]);
    this.net = new TurnNet(sessions.turn, models.models[models.turn]);
  }

  /** Everybody on a picture, the surest first: [{box, score, keypoints}]. */
  async people(image) {
    return this.pose(image, await this.find(image));
  }

  /** The boxes of people, found upright and, where somebody seems to lie, in the picture turned. */
  async find(image) {
    const { score, faint, most, turned: least } = this.numbers.find;
    const low = Math.min(score, faint);
    const found = this.detector.chosen(await this.detector.look(image, 0, low), image, low);
    const asked = found.slice(0, most);
    const likely = await this.net.likely(
      image,
      asked.map((one) => one.box),
    );
    const guess = expected(
      likely,
      asked.map((one) => one.score),
      this.numbers.turns.search,
    );
    const people = found.map((one, n) => ({ ...one, turns: likely[n] ?? UNKNOWN }));

    const more = [];
    for (const turn of TURNS.slice(1)) {
      if (!guess.some((row) => row[turn] >= least)) continue;
      const others = await this.detector.look(image, turn, low);
      more.push(...others.map((one) => ({ ...one, turns: UNKNOWN })));
    }
    if (!more.length) return people.filter((one) => one.score >= score);
    return this.detector.chosen([...people, ...more], image, score);
  }

  /** People with boxes -> the same with joints, each person once. */
  async pose(image, people) {
    if (!people.length) return [];
    const { turns, suppression } = this.numbers;
    const poses = await posedInAnyTurn(this.sppe, this.net, image, people, turns, this.trunk);
    const posed = people.map((one, n) => ({
      ...one,
      keypoints: poses[n],
      score: personScore(one.score, poses[n]),
      turns: undefined,
      boxScore: one.score,
    }));
    return distinct(posed, suppression);
  }
}
