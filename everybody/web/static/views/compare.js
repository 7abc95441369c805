// Two runs of the same film side by side, in step.

import { choice, h } from "../dom.js";
import { edited } from "../player/edits.js";
import { Film, frameAt } from "../player/film.js";
import { Stage } from "../player/stage.js";
import { listenKeys, transport } from "../player/transport.js";
import { text } from "../text.js";
import { looks } from "./run.js";

const words = text.compare;

export async function show(view, app) {
  view.append(h("h1", {}, words.heading));
  const places = Object.values(app.places);
  const all = await Promise.all(
    places.map(async (place) => (await place.jobs()).map((job) => ({ place, job }))),
  );
  const jobs = all.flat().filter(({ job }) => job.done);
  if (jobs.length < 2) {
    view.append(h("p", {}, words.few));
    return undefined;
  }
  const names = jobs.map(({ job }, n) => [String(n), `${job.name} · ${text.made(job)}`]);
  const chosen = ofOneFile(jobs.map(({ job }) => job.name));
  const body = h("div", {});
  let pair = null;
  const open = async () => {
    pair?.close();
    const runs = await Promise.all(chosen.map((n) => jobs[n].place.run(jobs[n].job.id)));
    pair = new Pair(
      runs,
      chosen.map((n) => names[n][1]),
    );
    body.replaceChildren(pair.element);
  };
  const pick = (side) => (n) => {
    chosen[side] = Number(n);
    return open();
  };
  view.append(
    h(
      "div",
      { class: "bar" },
      choice(words.left, names, String(chosen[0]), pick(0)),
      choice(words.right, names, String(chosen[1]), pick(1)),
    ),
    body,
  );
  await open();
  return () => pair.close();
}

/** The places of the first two equal names; of the first two where all differ. */
function ofOneFile(names) {
  for (const [n, name] of names.entries()) {
    const other = names.indexOf(name, n + 1);
    if (other > 0) return [n, other];
  }
  return [0, 1];
}

class Pair {
  constructor(runs, names) {
    this.runs = runs;
    this.films = runs.map(
      ({ films, edits }) => new Film({ ...films[0], frames: edited(films[0].frames, edits) }),
    );
    this.stages = this.films.map((film, n) => new Stage(film.media, runs[n].skeleton));
    this.apart = h("p", {});
    const [left, right] = this.films;
    left.addEventListener("frame", () => this.#step());
    right.addEventListener("frame", () => this.#draw());
    this.unlisten = listenKeys(left);
    this.element = h(
      "div",
      {},
      h(
        "div",
        { class: "pair" },
        this.stages.map((stage, n) =>
          h("figure", {}, stage.element, h("figcaption", {}, names[n])),
        ),
      ),
      transport(left),
      looks(...this.stages),
      this.apart,
    );
    this.#step();
  }

  close() {
    this.unlisten();
    for (const part of [...this.films, ...this.stages]) part.close();
    for (const run of this.runs) run.close?.();
  }

  /** The right film follows the left one: by time, pictures by their place. */
  #step() {
    const [left, right] = this.films;
    const still = left.film.kind === "pictures";
    right.seek(still ? left.n : frameAt(right.frames, left.time));
    this.#draw();
  }

  #draw() {
    this.films.forEach((film, n) => this.stages[n].show(film.frames, film.n, film.size));
    const [left, right] = this.films.map((film) => film.frames[film.n]);
    const apart = meanDistance(left?.people ?? [], right?.people ?? []);
    const told = apart === null ? words.none : words.apart(apart);
    this.apart.textContent = left?.source === right?.source ? told : words.different;
  }
}

/** Mean distance of the joints of people who are nearest to each other; null where there are none. */
function meanDistance(a, b) {
  if (!a.length || !b.length || a[0].keypoints.length !== b[0].keypoints.length) return null;
  const between = (p, q) => {
    const away = p.keypoints.map(([x, y], k) =>
      Math.hypot(x - q.keypoints[k][0], y - q.keypoints[k][1]),
    );
    return away.reduce((sum, one) => sum + one, 0) / away.length;
  };
  const nearest = a.map((p) => Math.min(...b.map((q) => between(p, q))));
  return nearest.reduce((sum, one) => sum + one, 0) / nearest.length;
}
