// Who is seen when: a row for each id. Rows are buttons that choose a person; the bars seek.

import { css, fitted, h } from "../dom.js";
import { text } from "../text.js";
import { hue } from "./draw.js";
import { idsOf } from "./edits.js";

export class Timeline {
  constructor(film, chose) {
    Object.assign(this, { film, chose, chosen: null, marks: [] });
    this.element = h("div", { class: "timeline", role: "group", "aria-label": text.timeline.name });
    this.rows = [];
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
    film.addEventListener("frame", () => this.draw());
  }

  close() {
    this.resized.disconnect();
  }

  /** Rows for the ids of these frames. */
  show(frames) {
    this.frames = frames;
    this.rows = idsOf(frames).map((id) => this.#row(id));
    const none = h("p", { class: "faint" }, text.timeline.nobody);
    this.element.replaceChildren(
      ...(this.rows.length ? this.rows.map((row) => row.element) : [none]),
    );
    this.draw();
  }

  choose(id) {
    this.chosen = id;
    for (const row of this.rows) row.button.setAttribute("aria-pressed", row.id === id);
  }

  /** Frames to be marked, in the row of an id; null: in all rows. */
  mark(frames, id) {
    this.marks = frames;
    this.marked = id;
    this.draw();
  }

  draw() {
    for (const row of this.rows) this.#bar(row);
  }

  #row(id) {
    const seen = this.frames.map((frame) => frame.people.some((one) => one.id === id));
    const count = seen.filter(Boolean).length;
    const button = h(
      "button",
      { type: "button", "aria-pressed": id === this.chosen, onclick: () => this.chose(id) },
      h("span", { class: "dot", style: `background:${hue(id, "var(--hue)")}` }),
      text.timeline.person(id),
      h("span", { class: "hidden" }, text.timeline.frames(count)),
    );
    const canvas = h("canvas", {
      "aria-hidden": "true",
      onpointerdown: (event) => this.#seek(event),
    });
    return {
      id,
      spans: spansOf(seen),
      button,
      canvas,
      element: h("div", { class: "row" }, button, canvas),
    };
  }

  #seek(event) {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    this.film.seek(Math.floor(((event.clientX - left) / width) * this.frames.length));
  }

  #bar({ id, spans, canvas }) {
    const { context, width, height } = fitted(canvas);
    const step = width / this.frames.length;
    context.fillStyle = hue(id, css("--hue"));
    for (const [from, to] of spans) {
      context.fillRect(from * step, height * 0.2, Math.max((to - from) * step, 1), height * 0.6);
    }
    context.fillStyle = css("--ink");
    const marks = this.marked === null || this.marked === id ? this.marks : [];
    for (const n of marks) triangle(context, (n + 0.5) * step, height * 0.3);
    context.fillRect((this.film.n + 0.5) * step - 1, 0, 2, height);
  }
}

/** A mark that points down from the upper edge. */
function triangle(context, x, size) {
  context.beginPath();
  context.moveTo(x - size / 2, 0);
  context.lineTo(x + size / 2, 0);
  context.lineTo(x, size);
  context.fill();
}

/** Where a row of booleans is true: [[first, behind the last], …]. */
function spansOf(seen) {
  const spans = [];
  seen.forEach((now, n) => {
    if (now && !seen[n - 1]) spans.push([n, n]);
    if (now) spans.at(-1)[1] = n + 1;
  });
  return spans;
}
