// A job of this browser while it runs: file by file, frame by frame.

import { PoseEngine } from "../pose/client.js";
import { bitmap, closeVideo, frameOf, isVideo, openVideo } from "./media.js";
import { keepJob } from "./store.js";

const OVERLAY_EVERY = 500; // milliseconds between pictures of the progress
const KEEP_EVERY = 5000; // milliseconds of work that are lost where the page is closed
const OF_ONE_FILE = ["unreadable", "unplayable"]; // problems that leave the other files alone
const SMALL = 320; // pixels of the width of the newest picture

export class Running {
  /** changed() is called when the job has moved on. */
  constructor(job, changed) {
    Object.assign(this, { job, changed, cancelled: false, overlay: null });
    this.shown = 0;
    this.kept = performance.now();
  }

  async run() {
    const { job } = this;
    this.engine = new PoseEngine();
    try {
      const { skeleton } = await this.engine.open({ variant: job.options.model });
      job.skeleton = skeleton.name;
      for (const source of job.sources) await this.#file(source);
      const empty = !job.frames.length && job.error;
      job.state = this.cancelled ? "cancelled" : empty ? "failed" : "done";
    } catch (error) {
      Object.assign(job, { state: "failed", error: said(error) });
    } finally {
      this.engine.close();
      await keepJob(job);
    }
  }

  /** The frames of a file that are not done yet; one that cannot be read is left out, and said. */
  async #file(source) {
    try {
      await (isVideo(source.file) ? this.#video(source) : this.#picture(source));
    } catch (error) {
      if (!OF_ONE_FILE.includes(error.code)) throw error;
      this.job.error ??= said(error);
    }
  }

  async #picture({ name, file }) {
    if (this.cancelled || this.#known(name)) return;
    this.job.total = this.job.sources.length;
    const place = { source: name, index: 0, time: 0 };
    await this.#frame(await bitmap(file), place, (image) => this.engine.people(image));
  }

  async #video({ name, file }) {
    const { job, engine } = this;
    if (this.cancelled) return;
    const known = this.#known(name);
    const video = await openVideo(file);
    // How many frames the files after this one have is not known yet.
    const last = job.sources.at(-1).name === name;
    job.total = last ? job.frames.length + video.count - known : 0;
    const { track, smooth } = job.options;
    const ids = job.frames.flatMap((frame) => frame.people.map((one) => one.id));
    await engine.forget(ids.reduce((most, id) => Math.max(most, id), 0) + 1);
    for (let index = known; index < video.count && !this.cancelled; index++) {
      const time = index / video.rate;
      const image = await frameOf(video, index);
      await this.#frame(image, { source: name, index, time }, (shown) => {
        return track ? engine.follow(shown, time, smooth) : engine.people(shown);
      });
    }
    closeVideo(video);
  }

  /** How many frames of a file are done. */
  #known(name) {
    return this.job.frames.filter((frame) => frame.source === name).length;
  }

  async #frame(image, place, ask) {
    const now = performance.now();
    const due = now - this.shown > OVERLAY_EVERY;
    const resizeWidth = Math.min(image.width, SMALL);
    const small = due ? await createImageBitmap(image, { resizeWidth }) : null;
    const { people, width, height } = await ask(image);
    this.job.frames.push({ ...place, width, height, people });
    this.job.done = this.job.frames.length;
    if (!due) return;
    this.shown = now;
    this.overlay = { image: small, people, width, height };
    if (now - this.kept > KEEP_EVERY) {
      this.kept = now;
      await keepJob(this.job);
    }
    this.changed();
  }
}

const said = (error) => ({ code: error.code, detail: error.detail ?? String(error) });
