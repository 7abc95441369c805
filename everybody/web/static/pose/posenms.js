// RMPE's parametric pose NMS (Fang et al. 2017, equations 8 to 11), as everybody/nms/parametric.py.

const PUBLISHED_JOINTS = 17;
const FAR = 80; // exponents below which nothing is left

/** People, each once and the surest first; joints of duplicates are merged into who is kept. */
export function distinct(people, { nms, weights }) {
  const order = [...people].sort((a, b) => b.score - a.score);
  const poses = order.map((one) => describe(one, nms));
  const limit = (nms.eta * weights.reduce((a, b) => a + b, 0)) / PUBLISHED_JOINTS;
  const owner = order.map(() => -1);
  order.forEach((_, n) => {
    if (owner[n] >= 0) return;
    owner[n] = n;
    for (let m = n + 1; m < order.length; m++) {
      if (owner[m] < 0 && likeness(poses[n], poses[m], nms, weights) >= limit) owner[m] = n;
    }
  });
  const kept = order.flatMap((one, n) => {
    if (owner[n] !== n) return [];
    const gone = order.filter((_, m) => m !== n && owner[m] === n);
    return [nms.merge && gone.length ? merged(one, gone, poses[n].reach) : one];
  });
  return kept.sort((a, b) => b.score - a.score);
}

function describe({ keypoints, box }, nms) {
  const side = Math.max(box[2] - box[0], box[3] - box[1]);
  return {
    keypoints,
    sure: keypoints.map((joint) => Math.tanh(Math.max(joint[2], 0) / nms.sigma1)),
    reach: Math.max(side, 1) * nms.share,
  };
}

function likeness(kept, other, nms, weights) {
  let sum = 0;
  kept.keypoints.forEach(([x, y], k) => {
    const [u, v] = other.keypoints[k];
    const away = ((x - u) ** 2 + (y - v) ** 2) / (kept.reach ** 2 * nms.sigma2);
    const near = away <= 1 / nms.sigma2 ? kept.sure[k] * other.sure[k] : 0;
    sum += weights[k] * (near + nms.lam * Math.exp(-Math.min(away, FAR)));
  });
  return sum;
}

function merged(kept, gone, reach) {
  const keypoints = kept.keypoints.map(([x, y, score], k) => {
    let total = Math.max(score, 0) + 1e-9;
    const shift = [0, 0, 0];
    for (const { keypoints: theirs } of gone) {
      const [u, v, other] = theirs[k];
      if (!((u - x) ** 2 + (v - y) ** 2 <= reach ** 2)) continue;
      const weight = Math.max(other, 0);
      total += weight;
      shift[0] += weight * (u - x);
      shift[1] += weight * (v - y);
      shift[2] += weight * (other - score);
    }
    return [x + shift[0] / total, y + shift[1] / total, score + shift[2] / total];
  });
  return { ...kept, keypoints };
}
