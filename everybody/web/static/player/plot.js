// Angles, places and speeds of people over time, in step with the film.

import { choice, css, fitted, h } from "../dom.js";
import { text } from "../text.js";
import { quantities, series, unitOf } from "./angles.js";
import { hue } from "./draw.js";
import { idsOf } from "./edits.js";

const LEFT = 48; // CSS pixels for the numbers of the axis

export class Plot {
  constructor(film, skeleton, start) {
    Object.assign(this, { film, skeleton, chosen: null, frames: [], lines: [] });
    const names = quantities(skeleton);
    this.name = names.includes(start) ? start : names[0];
    const pick = choice(
      text.plot.quantity,
      names.map((name) => [name, text.plot.label(name)]),
      this.name,
      (name) => this.#pick(name),
    );
    this.curves = h("canvas", { role: "img" });
    this.cursor = h("canvas", { "aria-hidden": "true", onpointerdown: (e) => this.#seek(e) });
    this.value = h("output", { class: "place" });
    this.element = h(
      "div",
      {},
      h("div", { class: "bar" }, pick, this.value),
      h("div", { class: "plot" }, this.curves, this.cursor),
    );
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.curves);
    film.addEventListener("frame", () => this.#now());
  }

  close() {
    this.resized.disconnect();
  }

  show(frames) {
    this.frames = frames;
    const ids = idsOf(frames);
    this.lines = ids.map((id) => ({ id, values: series(frames, id, this.skeleton, this.name) }));
    this.draw();
  }

  choose(id) {
    this.chosen = id;
    this.draw();
  }

  /** The curves, which stay until people or the size change. */
  draw() {
    const { context, width, height } = fitted(this.curves);
    this.shown = this.lines.filter(({ id }) => this.chosen === null || id === this.chosen);
    const ids = this.shown.map(({ id }) => id);
    this.curves.setAttribute("aria-label", text.plot.chart(this.name, ids));
    const known = this.shown.flatMap(({ values }) => values.filter((value) => value !== null));
    if (known.length) {
      const [low, high] = bounds(known);
      const x = (n) => this.#x(n, width);
      const y = (value) => 10 + ((high - value) / (high - low)) * (height - 20);
      axis(context, [low, high], y, width, unitOf(this.name));
      for (const line of this.shown) curve(context, line, x, y);
    }
    this.#now();
  }

  /** The line at the frame that is shown, and the values there. */
  #now() {
    const { context, width, height } = fitted(this.cursor);
    context.fillStyle = css("--ink");
    context.fillRect(this.#x(this.film.n, width) - 0.5, 0, 1, height);
    const unit = unitOf(this.name);
    const values = (this.shown ?? []).flatMap(({ id, values }) => {
      const value = values[this.film.n] ?? null;
      return value === null ? [] : [text.plot.value(id, value, unit)];
    });
    this.value.textContent = values.join("  ") || text.plot.nothing;
  }

  #x(n, width) {
    return LEFT + ((n + 0.5) / this.frames.length) * (width - LEFT);
  }

  #pick(name) {
    this.name = name;
    this.show(this.frames);
  }

  #seek(event) {
    const { left, width } = this.cursor.getBoundingClientRect();
    const part = (event.clientX - left - LEFT) / (width - LEFT);
    this.film.seek(Math.floor(part * this.frames.length));
  }
}

function bounds(values) {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  return high - low > 1e-6 ? [low, high] : [low - 1, high + 1];
}

function axis(context, [low, high], y, width, unit) {
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "right";
  for (const value of [low, (low + high) / 2, high]) {
    context.fillStyle = css("--faint");
    context.fillText(`${Math.round(value)}${unit === "°" ? unit : ""}`, LEFT - 6, y(value) + 4);
    context.fillStyle = css("--line");
    context.fillRect(LEFT, y(value), width - LEFT, 1);
  }
  context.textAlign = "left";
}

function curve(context, { id, values }, x, y) {
  context.strokeStyle = context.fillStyle = hue(id, css("--hue"));
  context.lineWidth = 2;
  context.beginPath();
  values.forEach((value, n) => {
    if (value === null) return;
    const [before, after] = [values[n - 1] ?? null, values[n + 1] ?? null];
    context[before === null ? "moveTo" : "lineTo"](x(n), y(value));
    if (before === null && after === null) context.fillRect(x(n) - 2, y(value) - 2, 4, 4);
  });
  context.stroke();
}
