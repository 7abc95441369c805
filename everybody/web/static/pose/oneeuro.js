// One Euro filter (Casiez, Roussel and Vogel 2012), as everybody/smooth/one_euro.py: speeds are in
// body sizes per second, so that people near and far are steadied alike.

const share = (cutoff, step) => 1 / (1 + 1 / (2 * Math.PI * Math.max(cutoff, 1e-9) * step));

export class OneEuro {
  constructor(numbers) {
    this.numbers = numbers;
    this.known = new Map(); // id -> {time, places, speeds}
  }

  /** People with ids at a time in seconds -> the same, steadied. */
  smoothed(people, time) {
    const known = new Map();
    const out = people.map((one) => {
      const { keypoints, state } = this.#one(one, time);
      known.set(one.id, state);
      return { ...one, keypoints };
    });
    this.known = known;
    return out;
  }

  #one({ id, keypoints, box }, time) {
    const { minimum, beta, derivative, sure, longest } = this.numbers;
    const before = this.known.get(id);
    const step = before ? time - before.time : 0;
    if (!(step > 0 && step <= longest)) {
      const speeds = keypoints.map(() => [0, 0]);
      return { keypoints, state: { time, places: keypoints, speeds } };
    }
    const size = Math.sqrt(Math.max((box[2] - box[0]) * (box[3] - box[1]), 1));
    const speeds = [];
    const places = keypoints.map(([x, y, score], k) => {
      const trust = Math.min(score / sure, 1);
      const change = [x, y].map((value, axis) => (value - before.places[k][axis]) * trust);
      const follow = share(derivative, step);
      const speed = before.speeds[k].map((v, axis) => v + follow * (change[axis] / step - v));
      speeds.push(speed);
      const part = share(minimum + (beta * Math.hypot(...speed)) / size, step);
      return [
        before.places[k][0] + part * change[0],
        before.places[k][1] + part * change[1],
        score,
      ];
    });
    return { keypoints: places, state: { time, places, speeds } };
  }
}
