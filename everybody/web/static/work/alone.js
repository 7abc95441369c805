// Jobs that this browser does by itself. The same calls as server.js; nothing leaves the machine.

import { PoseEngine } from "../pose/client.js";
import { Problem } from "../pose/problem.js";
import { allJobs, dropJob, keepJob, oneJob } from "./store.js";
import { bitmap, closeVideo, frameOf, isVideo, openVideo } from "./media.js";

const OVERLAY_EVERY = 500; // milliseconds between pictures of the progress
const KEEP_EVERY = 5000; // milliseconds of work that are lost where the page is closed

export class Alone {
  constructor() {
    this.key = "alone";
    this.listeners = new Set();
    this.running = new Map(); // id -> {job, cancelled, overlay}
  }

  /** Calls changed() whenever a job moves on; returns what ends that. */
  watch(changed) {
    this.listeners.add(changed);
    return () => this.listeners.delete(changed);
  }

  async jobs() {
    const kept = await allJobs();
    return kept
      .map((job) => {
        const now = this.running.get(job.id);
        if (now) return { ...told(now.job), overlay: now.overlay };
        return told(job.state === "running" ? { ...job, state: "interrupted" } : job);
      })
      .sort((a, b) => b.created - a.created);
  }

  async create(files, options) {
    const sources = files.map((file) => ({ name: file.webkitRelativePath || file.name, file }));
    const name = files.length === 1 ? files[0].name : `${files[0].name} +${files.length - 1}`;
    const job = {
      id: crypto.randomUUID(),
      name,
      created: Date.now(),
      state: "running",
      options,
      sources,
      frames: [],
      edits: [],
      done: 0,
      total: 0,
    };
    await keepJob(job);
    this.#run(job);
    return job.id;
  }

  async cancel(id) {
    const now = this.running.get(id);
    if (now) now.cancelled = true;
  }

  async resume(id) {
    this.#run({ ...(await this.#job(id)), state: "running", error: null });
  }

  async remove(id) {
    await this.cancel(id);
    await dropJob(id);
    this.#changed();
  }

  async run(id) {
    const job = await this.#job(id);
    if (!job) throw new Problem("gone");
    const models = await (await fetch("models.json")).json();
    const urls = new Map(job.sources.map(({ name, file }) => [name, URL.createObjectURL(file)]));
    const frames = job.frames.map((frame) => ({ ...frame, url: urls.get(frame.source) }));
    return {
      id,
      name: job.name,
      skeleton: models.skeletons[job.skeleton ?? "coco-17"],
      films: films(job.sources, frames, urls),
      edits: job.edits,
      lifted: null,
      downloads: [],
      close: () => urls.forEach((url) => URL.revokeObjectURL(url)),
    };
  }

  async edit(id, edit) {
    const job = await this.#job(id);
    job.edits.push(edit);
    await keepJob(job);
    return job.edits;
  }

  async undo(id) {
    const job = await this.#job(id);
    job.edits.pop();
    await keepJob(job);
    return job.edits;
  }

  async #job(id) {
    return this.running.get(id)?.job ?? oneJob(id);
  }

  async #run(job) {
    const now = { job, cancelled: false, overlay: null, shown: 0, kept: performance.now() };
    this.running.set(job.id, now);
    this.#changed();
    const engine = new PoseEngine();
    try {
      const { skeleton } = await engine.open({ variant: job.options.model });
      job.skeleton = skeleton.name;
      for (const source of job.sources) await this.#source(now, engine, source);
      job.state = now.cancelled ? "cancelled" : "done";
    } catch (error) {
      Object.assign(job, {
        state: "failed",
        error: { code: error.code, detail: error.detail ?? String(error) },
      });
    } finally {
      engine.close();
      await keepJob(job);
      this.running.delete(job.id);
      this.#changed();
    }
  }

  async #source(now, engine, { name, file }) {
    const { job } = now;
    const known = job.frames.filter((frame) => frame.source === name).length;
    if (!isVideo(file)) {
      if (known || now.cancelled) return;
      await this.#frame(now, await bitmap(file), { source: name, index: 0, time: 0 }, (image) => {
        return engine.people(image);
      });
      return;
    }
    const video = await openVideo(file);
    job.total = job.frames.length + video.count - known;
    const ask = job.options.track
      ? (image, time) => engine.follow(image, time, job.options.smooth)
      : (image) => engine.people(image);
    await engine.forget();
    for (let index = known; index < video.count && !now.cancelled; index++) {
      const time = index / video.rate;
      const image = await frameOf(video, index);
      await this.#frame(now, image, { source: name, index, time }, (shown) => ask(shown, time));
    }
    closeVideo(video);
  }

  async #frame(now, image, frame, ask) {
    const due = performance.now() - now.shown > OVERLAY_EVERY;
    const small = due
      ? await createImageBitmap(image, { resizeWidth: Math.min(image.width, 320) })
      : null;
    const { people, width, height } = await ask(image);
    now.job.frames.push({ ...frame, width, height, people });
    now.job.done = now.job.frames.length;
    if (!due) return;
    now.shown = performance.now();
    now.overlay = { image: small, people, width, height };
    if (now.shown - now.kept > KEEP_EVERY) {
      now.kept = now.shown;
      await keepJob(now.job);
    }
    this.#changed();
  }

  #changed() {
    for (const changed of this.listeners) changed();
  }
}

const told = ({ id, name, created, state, done, total, error }) => {
  return { id, name, created, state, done, total, error, overlay: null };
};

/** Sources and their frames -> what the player shows: each video, and all pictures as one film. */
export function films(sources, frames, urls) {
  const bySource = Map.groupBy(frames, (frame) => frame.source);
  const moving = sources.filter((source) => isVideo(source.file));
  const out = moving
    .filter(({ name }) => bySource.has(name))
    .map(({ name }) => ({ kind: "video", name, url: urls.get(name), frames: bySource.get(name) }));
  const still = frames.filter((frame) => !moving.some(({ name }) => name === frame.source));
  if (still.length) out.push({ kind: "pictures", name: "", frames: still });
  return out;
}
