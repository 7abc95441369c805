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
    this.canvas = h("canvas", { class: "plot", role: "img", onpointerdown: (e) => this.#seek(e) });
    this.value = h("output", { class: "place" });
    this.element = h(
      "div",
      { class: "plotter" },
      h("div", { class: "bar" }, pick, this.value),
      this.canvas,
    );
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
    film.addEventListener("frame", () => this.draw());
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

  draw() {
    const { context, width, height } = fitted(this.canvas);
    const lines = this.lines.filter(({ id }) => this.chosen === null || id === this.chosen);
    const known = lines.flatMap(({ values }) => values.filter((value) => value !== null));
    const unit = unitOf(this.name);
    this.canvas.setAttribute(
      "aria-label",
      text.plot.chart(
        this.name,
        lines.map(({ id }) => id),
      ),
    );
    if (!known.length) {
      this.value.textContent = text.plot.nothing;
      return;
    }
    const [low, high] = bounds(known);
    const x = (n) => LEFT + ((n + 0.5) / this.frames.length) * (width - LEFT);
    const y = (value) => 10 + ((high - value) / (high - low)) * (height - 20);
    axis(context, [low, high], y, width, unit);
    for (const line of lines) curve(context, line, x, y);
    context.fillStyle = css("--ink");
    context.fillRect(x(this.film.n) - 0.5, 0, 1, height);
    const now = lines
      .map(({ id, values }) => [id, values[this.film.n]])
      .filter(([, value]) => value !== null && value !== undefined);
    this.value.textContent = now.map(([id, value]) => text.plot.value(id, value, unit)).join("  ");
  }

  #pick(name) {
    this.name = name;
    this.show(this.frames);
  }

  #seek(event) {
    const { left, width } = this.canvas.getBoundingClientRect();
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
  context.strokeStyle = hue(id, css("--hue"));
  context.lineWidth = 2;
  context.beginPath();
  let open = false;
  values.forEach((value, n) => {
    if (value === null) open = false;
    else {
      context[open ? "lineTo" : "moveTo"](x(n), y(value));
      open = true;
    }
  });
  context.stroke();
}
