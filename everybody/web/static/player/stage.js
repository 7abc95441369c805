// A picture or a video with people drawn over it, and joints that can be dragged.

import { fitted, h } from "../dom.js";
import { text } from "../text.js";
import { drawPeople, drawTrails } from "./draw.js";

const REACH = 14; // CSS pixels around a joint in which it is taken hold of
const TRAIL = ["left_wrist", "right_wrist", "left_ankle", "right_ankle"];

export class Stage {
  /** media: a video, img or canvas element; grabbed(person, joint, x, y, done) while one drags. */
  constructor(media, skeleton, { grabbed = null, chose = null } = {}) {
    Object.assign(this, { media, skeleton, grabbed, chose });
    this.look = {
      joints: true,
      boxes: false,
      ids: true,
      trails: false,
      colour: "side",
      least: 0.3,
    };
    this.frames = [];
    this.n = 0;
    this.size = [1, 1];
    this.chosen = null;
    this.canvas = h("canvas", { class: "over", role: "img", "aria-label": text.stage.canvas });
    this.element = h("div", { class: "stage" }, media, this.canvas);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
    if (grabbed) this.#listen();
  }

  close() {
    this.resized.disconnect();
  }

  /** Shows the people of frame n of these frames. */
  show(frames, n, [width, height]) {
    Object.assign(this, { frames, n });
    if (this.size[0] !== width || this.size[1] !== height) {
      this.size = [width, height];
      this.element.style.setProperty("--wide", width);
      this.element.style.setProperty("--high", height);
    }
    this.draw();
  }

  draw() {
    const { context, width } = fitted(this.canvas);
    const frame = this.frames[this.n];
    if (!frame) return;
    const scale = width / this.size[0];
    context.scale(scale, scale);
    context.translate(0.5, 0.5); // whole numbers are centres of pixels
    if (this.look.trails) {
      const joints = TRAIL.map((name) => this.skeleton.joints.indexOf(name)).filter((k) => k >= 0);
      drawTrails(context, this.frames, this.n, joints, this.look, 1 / scale);
    }
    drawPeople(context, frame.people, this.skeleton, this.look, 1 / scale, this.chosen);
    const words = text.stage.people(frame.people.length);
    if (this.canvas.getAttribute("aria-label") !== words)
      this.canvas.setAttribute("aria-label", words);
  }

  #listen() {
    let held = null;
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      const at = this.#place(event);
      held = this.#nearest(at);
      if (held) {
        canvas.setPointerCapture(event.pointerId);
        event.preventDefault();
        this.chose?.(held.one.id ?? held.person, held.joint);
      } else this.chose?.(this.#person(at));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (held) this.grabbed(held.person, held.joint, ...this.#place(event), false);
      else canvas.classList.toggle("grab", Boolean(this.#nearest(this.#place(event))));
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => {
        if (held) this.grabbed(held.person, held.joint, ...this.#place(event), true);
        held = null;
      });
    }
  }

  #scale() {
    return this.canvas.getBoundingClientRect().width / this.size[0];
  }

  /** Where a pointer is, in picture pixels. */
  #place(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const scale = this.#scale();
    return [(event.clientX - left) / scale - 0.5, (event.clientY - top) / scale - 0.5];
  }

  #nearest([x, y]) {
    let best = null;
    let least = REACH / this.#scale();
    (this.frames[this.n]?.people ?? []).forEach((one, person) => {
      one.keypoints.forEach(([u, v, score], joint) => {
        const away = Math.hypot(u - x, v - y);
        if (score >= this.look.least && away < least) {
          least = away;
          best = { one, person, joint };
        }
      });
    });
    return best;
  }

  #person([x, y]) {
    const people = this.frames[this.n]?.people ?? [];
    const place = people.findIndex(
      ({ box }) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3],
    );
    return place < 0 ? null : (people[place].id ?? place);
  }
}
