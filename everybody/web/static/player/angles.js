// What can be plotted of a person: angles of joints in degrees, places and speeds in pixels
// (everybody/kinematics.py).

const ANGLES = {
  elbow: ["shoulder", "elbow", "wrist"],
  shoulder: ["elbow", "shoulder", "hip"],
  hip: ["shoulder", "hip", "knee"],
  knee: ["hip", "knee", "ankle"],
  ankle: ["knee", "ankle", "big_toe"],
};
const LEAST = 0.2; // an angle of joints that score less is left out

/** Names of everything that can be plotted of a skeleton. */
export function quantities(skeleton) {
  const joints = skeleton.joints.flatMap((joint) => [`${joint}.x`, `${joint}.y`, `${joint}.speed`]);
  return [...Object.keys(angles(skeleton)), ...joints];
}

function angles(skeleton) {
  const out = {};
  for (const side of ["left", "right"]) {
    for (const [name, parts] of Object.entries(ANGLES)) {
      const places = parts.map((part) => skeleton.joints.indexOf(`${side}_${part}`));
      if (places.every((place) => place >= 0)) out[`${side}_${name}`] = places;
    }
  }
  return out;
}

export const unitOf = (name) =>
  name.includes(".") ? (name.endsWith("speed") ? "px/s" : "px") : "°";

/** One quantity of a person over all frames: numbers, null where it is not known. */
export function series(frames, id, skeleton, name) {
  const people = frames.map((frame) => frame.people.find((one) => one.id === id) ?? null);
  const [joint, part] = name.split(".");
  if (!part)
    return people.map((one) => (one ? angle(one.keypoints, angles(skeleton)[name]) : null));
  const place = skeleton.joints.indexOf(joint);
  if (part !== "speed")
    return people.map((one) => one?.keypoints[place][part === "x" ? 0 : 1] ?? null);
  return people.map((_, n) => speed(frames, people, place, n));
}

function angle(keypoints, [a, b, c]) {
  if ([a, b, c].some((place) => keypoints[place][2] < LEAST)) return null;
  const [p, q] = [a, c].map((end) =>
    [0, 1].map((axis) => keypoints[end][axis] - keypoints[b][axis]),
  );
  const cross = p[0] * q[1] - p[1] * q[0];
  return (Math.abs(Math.atan2(cross, p[0] * q[0] + p[1] * q[1])) * 180) / Math.PI;
}

function speed(frames, people, place, n) {
  const [before, after] = [people[n - 1] ? n - 1 : n, people[n + 1] ? n + 1 : n];
  if (!people[n] || before === after) return null;
  const [p, q] = [people[before].keypoints[place], people[after].keypoints[place]];
  return Math.hypot(q[0] - p[0], q[1] - p[1]) / (frames[after].time - frames[before].time);
}
