// Jobs that this browser does by itself. The same calls as server.js; nothing leaves the machine.

import { Problem } from "../pose/problem.js";
import { isVideo } from "./media.js";
import { Running } from "./running.js";
import { allJobs, dropJob, keepJob, oneJob } from "./store.js";

export class Alone {
  constructor() {
    this.key = "alone";
    this.listeners = new Set();
    this.running = new Map(); // id -> Running
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

  /** The coach and what else is made of a job are the server's: nothing is counted twice over. */
  async exercises() {
    return [];
  }

  async uses() {
    return null;
  }

  async #job(id) {
    return this.running.get(id)?.job ?? oneJob(id);
  }

  async #run(job) {
    const running = new Running(job, () => this.#changed());
    this.running.set(job.id, running);
    this.#changed();
    await running.run();
    this.running.delete(job.id);
    this.#changed();
  }

  #changed() {
    for (const changed of this.listeners) changed();
  }
}

const told = ({ id, name, created, options, state, done, total, error }) => {
  return { id, name, created, options, state, done, total, error, overlay: null };
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
