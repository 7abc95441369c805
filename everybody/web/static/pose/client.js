// The page's end of the worker: each call is a promise.

import { Problem } from "./problem.js";

export class PoseEngine {
  constructor(base = document.baseURI) {
    this.base = new URL(".", base).href;
    this.waiting = new Map();
    this.next = 1;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.#answered(data);
    this.worker.onerror = () => this.#failed();
  }

  open(options = {}) {
    return this.#ask({ do: "open", base: this.base, variant: "fast", ...options });
  }

  people(image) {
    return this.#ask({ do: "people", image }, image);
  }

  follow(image, time, smooth) {
    return this.#ask({ do: "follow", image, time, smooth }, image);
  }

  /** The next people to follow are new ones, with ids from `first` on. */
  forget(first = 1) {
    return this.#ask({ do: "forget", first });
  }

  close() {
    this.worker.terminate();
  }

  #ask(message, image) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...message }, image instanceof ImageBitmap ? [image] : []);
    });
  }

  #answered({ id, problem, ...answer }) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (problem) reject(new Problem(problem.code, problem.detail));
    else resolve(answer);
  }

  #failed() {
    for (const { reject } of this.waiting.values()) reject(new Problem("noEngine"));
    this.waiting.clear();
  }
}
