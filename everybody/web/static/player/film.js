// A film on the page: frames in step with a video, or pictures one after the other.

import { h } from "../dom.js";
import { text } from "../text.js";

const SLOW = 250; // milliseconds that each picture of a series is shown

/** The frame shown at a time: the last one that has begun. */
export function frameAt(frames, time) {
  let [low, high] = [0, frames.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (frames[middle].time <= time + 1e-3) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Events: "frame" when another frame is shown, "state" when it plays or stops, "broken". */
export class Film extends EventTarget {
  /** film: {kind: "video" | "pictures", name, url, frames, width, height}. */
  constructor(film) {
    super();
    Object.assign(this, { film, n: 0, playing: false });
    const video = film.kind === "video";
    this.media = video
      ? h("video", { src: film.url, muted: true, playsInline: true, preload: "auto", tabIndex: -1 })
      : h("img", { alt: text.stage.picture });
    this.media.addEventListener("error", () => this.#tell("broken"));
    if (video) this.#follow();
    this.seek(0);
  }

  get frames() {
    return this.film.frames;
  }

  get size() {
    const frame = this.frames[this.n];
    return [frame?.width ?? this.film.width ?? 1, frame?.height ?? this.film.height ?? 1];
  }

  get time() {
    return this.frames[this.n]?.time ?? 0;
  }

  seek(n) {
    this.n = Math.min(Math.max(n, 0), Math.max(this.frames.length - 1, 0));
    const frame = this.frames[this.n];
    if (this.film.kind === "video") {
      const next = this.frames[this.n + 1]?.time ?? Infinity;
      // The middle of a frame's time: its edges are rounded differently by every browser.
      if (frame) this.media.currentTime = frame.time + Math.min((next - frame.time) / 2, 0.02);
    } else if (frame && this.media.getAttribute("src") !== frame.url) this.media.src = frame.url;
    this.#tell("frame");
  }

  step(by) {
    this.pause();
    this.seek(this.n + by);
  }

  play() {
    this.playing = true;
    if (this.n >= this.frames.length - 1) this.seek(0);
    if (this.film.kind === "video") this.media.play().catch(() => this.pause());
    else this.timer = setInterval(() => this.#nextPicture(), SLOW);
    this.#tell("state");
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    clearInterval(this.timer);
    if (this.film.kind === "video") this.media.pause();
    this.#tell("state");
  }

  close() {
    this.pause();
    this.closed = true;
    this.media.removeAttribute("src");
  }

  #nextPicture() {
    if (this.n >= this.frames.length - 1) this.pause();
    else this.seek(this.n + 1);
  }

  /** While the video plays, the frame that is on the screen is the one that is told. */
  #follow() {
    const shown = (_, { mediaTime }) => {
      if (this.closed) return;
      const n = frameAt(this.frames, mediaTime);
      if (this.playing && n !== this.n) {
        this.n = n;
        this.#tell("frame");
      }
      this.media.requestVideoFrameCallback(shown);
    };
    this.media.requestVideoFrameCallback?.(shown);
    this.media.addEventListener("ended", () => this.pause());
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}
