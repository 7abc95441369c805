// Boxes [x0, y0, x1, y1] under the coordinate law: overlap, suppression, crops and turns
// (everybody/geometry.py, everybody/nms/greedy.py).

export const area = (box) => Math.max(box[2] - box[0], 0) * Math.max(box[3] - box[1], 0);

export function iou(a, b) {
  const across = Math.max(Math.min(a[2], b[2]) - Math.max(a[0], b[0]), 0);
  const down = Math.max(Math.min(a[3], b[3]) - Math.max(a[1], b[1]), 0);
  const overlap = across * down;
  const union = area(a) + area(b) - overlap;
  return union > 0 ? overlap / union : 0;
}

/** People most confident first, those left out that overlap a surer one by more than `threshold`. */
export function suppress(people, threshold) {
  const kept = [];
  for (const one of [...people].sort((a, b) => b.score - a.score)) {
    if (kept.every((other) => iou(other.box, one.box) <= threshold)) kept.push(one);
  }
  return kept;
}

/** The box cut to a picture of this size. */
export function clip([x0, y0, x1, y1], width, height) {
  const cut = (value, size) => Math.min(Math.max(value, -0.5), size - 0.5);
  return [cut(x0, width), cut(y0, height), cut(x1, width), cut(y1, height)];
}

/** The transform [2, 3] from picture to crop that turns a box about its centre by quarter turns
 * (or parts of one) against the clock and shows it, grown by `padding`. */
export function cropMatrix(box, [width, height], padding, turns) {
  const angle = (turns * Math.PI) / 2;
  const exact = (value) => Math.round(value * 1e12) / 1e12; // whole quarters are exact
  const [cos, sin] = [exact(Math.cos(angle)), exact(Math.sin(angle))];
  const centre = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const sides = [Math.max(box[2] - box[0], 1) * padding, Math.max(box[3] - box[1], 1) * padding];
  const extent = [
    Math.hypot(cos * sides[0], sin * sides[1]),
    Math.hypot(sin * sides[0], cos * sides[1]),
  ];
  const scale = Math.min(width / extent[0], height / extent[1]);
  const [a, b, d, e] = [scale * cos, scale * sin, -scale * sin, scale * cos];
  const c = (width - 1) / 2 - (a * centre[0] + b * centre[1]);
  const f = (height - 1) / 2 - (d * centre[0] + e * centre[1]);
  return [a, b, c, d, e, f];
}

/** A box of a picture turned by quarters against the clock -> in the picture, `width` × `height`. */
export function boxTurnedBack([x0, y0, x1, y1], width, height, turns) {
  const back = {
    0: (x, y) => [x, y],
    1: (x, y) => [width - 1 - y, x],
    2: (x, y) => [width - 1 - x, height - 1 - y],
    3: (x, y) => [y, height - 1 - x],
  }[turns];
  const [p, q] = [back(x0, y0), back(x1, y1)];
  return [Math.min(p[0], q[0]), Math.min(p[1], q[1]), Math.max(p[0], q[0]), Math.max(p[1], q[1])];
}

/** The box around the joints that score at least `least`, grown by `margin` of its sides. */
export function boxAround(keypoints, least, margin) {
  const seen = keypoints.filter((joint) => joint[2] >= least);
  if (!seen.length) return null;
  const [xs, ys] = [seen.map((joint) => joint[0]), seen.map((joint) => joint[1])];
  const [x0, y0, x1, y1] = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  const [dx, dy] = [margin * (x1 - x0), margin * (y1 - y0)];
  return [x0 - dx, y0 - dy, x1 + dx, y1 + dy];
}
