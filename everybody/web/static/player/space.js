// People in space, seen from any side: drag or arrow keys turn, wheel or + and - come nearer.
//
// frames: lines of frames3d.jsonl (everybody/results/spatial.py), joints [x, y, z, score] in metres:
// of a camera x points right, y down and z away; in a world z points up.

import { css, fitted, h } from "../dom.js";
import { text } from "../text.js";
import { hue } from "./draw.js";

export class Space {
  constructor(film, { skeleton, frames }) {
    const sources = new Set(film.frames.map((frame) => frame.source));
    const own = frames.filter((frame) => sources.has(frame.source));
    Object.assign(this, { film, skeleton, turn: 0.5, tilt: 0.25, near: 1 });
    this.up = own[0]?.space === "world";
    this.frames = new Map(own.map((frame) => [key(frame), frame]));
    this.centre = middle(own);
    this.canvas = h("canvas", {
      class: "space",
      role: "img",
      tabIndex: 0,
      "aria-label": text.space.name,
      "data-keys": "own",
      onkeydown: (event) => this.#key(event),
      onpointermove: (event) => this.#drag(event),
      onpointerdown: (event) => this.canvas.setPointerCapture(event.pointerId),
    });
    this.canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.element = h("div", {}, this.canvas, h("p", { class: "faint" }, text.space.help));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
    film.addEventListener("frame", () => this.draw());
  }

  close() {
    this.resized.disconnect();
  }

  draw() {
    const { context, width, height } = fitted(this.canvas);
    const scale = (Math.min(width, height) / 2.6) * this.near;
    const seen = (point) => {
      const [x, y, depth] = this.#turned(point);
      const nearer = 4 / (4 + depth);
      return [width / 2 + x * scale * nearer, height / 2 + y * scale * nearer, nearer];
    };
    this.#floor(context, seen);
    const frame = this.film.frames[this.film.n];
    const people = (frame && this.frames.get(key(frame))?.people) ?? [];
    people.forEach((one, place) =>
      this.#person(context, one, hue(one.id ?? place, css("--hue")), seen),
    );
  }

  /** A point in metres -> right, down and away of who looks on. */
  #turned([x, y, z]) {
    const [cx, cy, cz] = this.centre;
    const [right, down, away] = this.up ? [x - cx, cz - z, y - cy] : [x - cx, y - cy, z - cz];
    const [c, s] = [Math.cos(this.turn), Math.sin(this.turn)];
    const [u, w] = [c * right + s * away, -s * right + c * away];
    const [ct, st] = [Math.cos(this.tilt), Math.sin(this.tilt)];
    return [u, ct * down - st * w, st * down + ct * w]; // from above
  }

  #person(context, { joints }, colour, seen) {
    const points = joints.map(seen);
    context.lineCap = "round";
    for (const [a, b] of this.skeleton.limbs) {
      context.strokeStyle = colour;
      context.lineWidth = 2 + 3 * ((points[a][2] + points[b][2]) / 2);
      context.beginPath();
      context.moveTo(points[a][0], points[a][1]);
      context.lineTo(points[b][0], points[b][1]);
      context.stroke();
    }
    for (const [x, y, nearer] of points) {
      context.fillStyle = css("--ink");
      context.beginPath();
      context.arc(x, y, 3 * nearer, 0, 2 * Math.PI);
      context.fill();
    }
  }

  #floor(context, seen) {
    const [cx, cy, cz] = this.centre;
    const at = (u, v) => (this.up ? [cx + u, cy + v, 0] : [cx + u, cy + 1, cz + v]);
    context.strokeStyle = css("--line");
    context.lineWidth = 1;
    for (let step = -2; step <= 2; step++) {
      for (const [from, to] of [
        [at(step, -2), at(step, 2)],
        [at(-2, step), at(2, step)],
      ]) {
        context.beginPath();
        context.moveTo(...seen(from).slice(0, 2));
        context.lineTo(...seen(to).slice(0, 2));
        context.stroke();
      }
    }
  }

  #drag({ buttons, movementX, movementY }) {
    if (!buttons) return;
    this.#look(movementX / 150, movementY / 150, 1);
  }

  #wheel(event) {
    event.preventDefault();
    this.#look(0, 0, Math.exp(-event.deltaY / 500));
  }

  #key(event) {
    const moves = {
      ArrowLeft: [-0.15, 0, 1],
      ArrowRight: [0.15, 0, 1],
      ArrowUp: [0, -0.1, 1],
      ArrowDown: [0, 0.1, 1],
      "+": [0, 0, 1.15],
      "-": [0, 0, 1 / 1.15],
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    this.#look(...move);
  }

  #look(turn, tilt, nearer) {
    this.turn += turn;
    this.tilt = Math.min(Math.max(this.tilt + tilt, -1.5), 1.5);
    this.near = Math.min(Math.max(this.near * nearer, 0.2), 8);
    this.draw();
  }
}

const key = ({ source, index }) => `${source}\n${index}`;

/** The middle of everybody over all frames, [x, y, z]. */
function middle(frames) {
  const joints = frames.flatMap(({ people }) => people.flatMap((one) => one.joints));
  if (!joints.length) return [0, 0, 0];
  return [0, 1, 2].map(
    (axis) => joints.reduce((sum, joint) => sum + joint[axis], 0) / joints.length,
  );
}
