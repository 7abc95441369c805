// The Web Worker in which networks run, so that the page never waits for them.
//
//   in   {id, do: "open", base, variant, gpu, threads}  -> {id, provider, threads, skeleton}
//   in   {id, do: "people", image}                      -> {id, people, width, height, ms}
//   in   {id, do: "follow", image, time, smooth}        -> the same, with ids
//   in   {id, do: "forget", first}                      -> {id}
//
// image is an ImageBitmap or ImageData. What goes wrong comes back as {id, problem: {code, detail}}.

import { Estimator } from "./estimator.js";
import { Follower } from "./follower.js";
import { OneEuro } from "./oneeuro.js";
import { openEngine, Session } from "./session.js";

let estimator = null;
let follower = null;
let steady = null;
let canvas = null;

/** Pixels of a bitmap as the browser has decoded it. */
function pixels(image) {
  if (!(image instanceof ImageBitmap)) return image;
  const { width, height } = image;
  if (!canvas || canvas.width !== width || canvas.height !== height) {
    canvas = new OffscreenCanvas(width, height);
  }
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  image.close();
  return context.getImageData(0, 0, width, height);
}

const actions = {
  async open({ base, variant, gpu, threads }) {
    const models = await (await fetch(new URL("models.json", base))).json();
    const pair = models.variants[variant];
    const names = { detector: pair.detector, pose: pair.pose, turn: models.turn };
    let engine = await openEngine(base, { gpu, threads });
    let sessions;
    try {
      sessions = await opened(engine, base, names);
    } catch (error) {
      if (engine.provider !== "webgpu") throw error;
      engine = await openEngine(base, { gpu: "off", threads }); // a driver that fails
      sessions = await opened(engine, base, names);
    }
    estimator = new Estimator(models, variant, sessions);
    await actions.forget({ first: 1 });
    return { provider: engine.provider, threads: engine.threads, skeleton: estimator.skeleton };
  },

  async people({ image }) {
    const picture = pixels(image);
    const people = await estimator.people(picture);
    return { people: people.map(plain), width: picture.width, height: picture.height };
  },

  async follow({ image, time, smooth }) {
    const picture = pixels(image);
    const found = await follower.people(picture, time);
    const people = smooth ? steady.smoothed(found, time) : found;
    return { people, width: picture.width, height: picture.height };
  },

  async forget({ first }) {
    follower = new Follower(estimator, first);
    steady = new OneEuro(estimator.numbers.smooth);
    return {};
  },
};

/** Networks by their part: {detector, pose, turn}. */
async function opened(engine, base, names) {
  const sessions = {};
  for (const [part, name] of Object.entries(names)) {
    sessions[part] = await Session.open(engine, base, name);
  }
  return sessions;
}

const plain = ({ box, score, keypoints }) => ({ id: null, box, score, keypoints });

// One message after the other: an estimator has one set of sessions.
let last = Promise.resolve();
self.onmessage = ({ data }) => {
  last = last.then(async () => {
    const start = performance.now();
    try {
      const answer = await actions[data.do](data);
      self.postMessage({ id: data.id, ...answer, ms: performance.now() - start });
    } catch (error) {
      const problem = { code: error.code ?? "failed", detail: error.detail ?? String(error) };
      self.postMessage({ id: data.id, problem });
    }
  });
};
