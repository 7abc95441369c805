// One run: the player, the time line, plots, corrections, space and downloads.

import { choice, download, h, say, toggle } from "../dom.js";
import { edited, idsOf } from "../player/edits.js";
import { Film } from "../player/film.js";
import { Plot } from "../player/plot.js";
import { Space } from "../player/space.js";
import { Stage } from "../player/stage.js";
import { Timeline } from "../player/timeline.js";
import { listenKeys, transport } from "../player/transport.js";
import { explain, text } from "../text.js";
import { CoachPanel } from "./coach.js";
import { Corrections } from "./corrections.js";
import { AnimationPanel, WornPanel } from "./uses.js";

const SCHEME = matchMedia("(prefers-color-scheme: dark)"); // canvases are drawn in its colours

export async function show(view, app, [key, id]) {
  const place = app.places[key];
  view.append(h("p", { class: "faint" }, text.run.loading));
  const [run, exercises, uses] = await Promise.all([place.run(id), place.exercises(), place.uses()]);
  view.replaceChildren(
    h("p", {}, h("a", { href: "#/" }, `← ${text.run.back}`)),
    h("h1", {}, run.name),
  );
  let shown = null;
  const open = (n) => {
    shown?.close();
    shown = new RunView(place, run, n, { exercises, uses, server: Boolean(app.places.server) });
    body.replaceChildren(shown.element);
  };
  const body = h("div", {});
  if (run.films.length > 1) {
    const names = run.films.map((film, n) => [String(n), film.name || text.run.pictures]);
    view.append(choice(text.run.film, names, "0", (n) => open(Number(n))));
  }
  view.append(body);
  open(0);
  return () => {
    shown.close();
    run.close?.();
  };
}

class RunView {
  constructor(place, run, n, known) {
    Object.assign(this, { place, run, original: run.films[n].frames, server: known.server });
    this.film = new Film({ ...run.films[n], frames: edited(this.original, run.edits) });
    this.stage = new Stage(this.film.media, run.skeleton, {
      grabbed: (...moved) => this.#moved(...moved),
      chose: (id, joint) => this.#choose(id, joint),
    });
    this.timeline = new Timeline(this.film, (id) => this.#choose(id));
    this.plot = new Plot(this.film, run.skeleton, "left_knee");
    this.corrections = new Corrections(this, {
      keep: (edit) => this.keep(edit),
      undo: () => this.undo(),
      choose: (id) => this.#choose(id),
    });
    this.coach = this.#coach(known.exercises);
    this.made = this.#made(known.uses);
    this.space = run.lifted ? new Space(this.film, run.lifted) : null;
    this.film.addEventListener("frame", () => this.#frame());
    this.film.addEventListener("broken", () => say(text.problem.unplayable(run.films[n].name)));
    this.unlisten = listenKeys(this.film);
    this.redraw = () => {
      this.plot.draw();
      this.film.dispatchEvent(new Event("frame"));
    };
    SCHEME.addEventListener("change", this.redraw);
    this.element = this.#layout();
    this.#refresh();
  }

  get frame() {
    return this.film.frames[this.film.n];
  }

  close() {
    this.unlisten();
    SCHEME.removeEventListener("change", this.redraw);
    const made = this.made.map(([, panel]) => panel);
    const parts = [this.film, this.stage, this.timeline, this.plot, this.space, ...made];
    for (const part of parts) part?.close();
  }

  /** Keeps a correction with the job and shows it. Who was chosen stays so by a new id. */
  async keep(edit) {
    const done = await this.#change(this.place.edit(this.run.id, edit), text.edits.saved);
    if (done && edit.op === "rename" && this.stage.chosen === edit.id) this.#choose(edit.to);
  }

  /** The coach, of films: there is none without a server, and pictures do not move. */
  #coach(known) {
    const { kind, source } = this.film.film;
    if (!known.length || kind !== "video") return null;
    return new CoachPanel(this.film, known, {
      ask: (exercise, person) => this.place.coach(this.run.id, { exercise, person, source }),
      marked: (turns, person) => this.timeline.mark(turns, person),
    });
  }

  /** What a server makes of it, as [heading, panel]; people who move can move a character. */
  #made(known) {
    if (!known) return [];
    const maker = this.place.maker(this.run.id);
    const worn = [text.worn.heading, new WornPanel(this.film, known, maker)];
    if (this.film.film.kind !== "video") return [worn];
    return [[text.animation.heading, new AnimationPanel(this.film, known, maker)], worn];
  }

  async undo() {
    const last = this.run.edits.at(-1);
    const done = await this.#change(this.place.undo(this.run.id), text.edits.undone);
    if (done && last?.op === "rename" && this.stage.chosen === last.to) this.#choose(last.id);
  }

  /** Shows what the corrections are then; whether they could be changed. */
  async #change(asked, words) {
    const changed = await asked.catch((error) => say(explain(error)));
    if (changed) {
      this.run.edits = changed;
      say(words);
    }
    this.film.film.frames = edited(this.original, this.run.edits);
    this.#refresh();
    return Boolean(changed);
  }

  #refresh() {
    this.timeline.show(this.film.frames);
    this.plot.show(this.film.frames);
    this.coach?.show(this.film.frames);
    for (const [, panel] of this.made) panel.show(this.film.frames);
    this.#frame();
  }

  #frame() {
    this.stage.show(this.film.frames, this.film.n, this.film.size);
    this.corrections.update();
  }

  #choose(id, joint) {
    this.stage.chosen = id;
    this.timeline.choose(id);
    this.plot.choose(idsOf(this.film.frames).includes(id) ? id : null);
    this.corrections.choose(id, joint);
    this.stage.draw();
  }

  /** A joint is dragged: shown at once, kept when it is let go. */
  #moved(person, joint, x, y, done) {
    const { source, index } = this.frame;
    const edit = { op: "move", source, frame: index, person, joint, x, y };
    if (done) return this.keep(edit);
    const frames = edited([this.frame], [edit]);
    this.stage.frames = this.film.frames.with(this.film.n, frames[0]);
    this.stage.draw();
  }

  #layout() {
    const side = [this.corrections.element, downloads(this.run)];
    const moves = this.film.film.kind === "video"; // else there is nothing to see over time
    const lifted = this.space ? section(text.space.heading, this.space.element) : null;
    return h(
      "div",
      { class: "player" },
      h(
        "div",
        { class: "main" },
        this.stage.element,
        transport(this.film),
        looks(this.stage),
        moves || idsOf(this.original).length ? this.timeline.element : null,
      ),
      h("aside", { "aria-label": text.edits.heading }, side),
      h(
        "div",
        {},
        moves ? section(text.plot.heading, this.plot.element) : null,
        this.coach ? section(text.coach.heading, this.coach.element) : null,
        lifted,
        this.made.map(([heading, panel]) => section(heading, panel.element)),
        this.made.length ? null : h("p", { class: "faint" }, text.run.alone(this.server)),
      ),
    );
  }
}

const section = (heading, ...content) => h("section", {}, h("h2", {}, heading), ...content);

/** What is drawn over the picture. */
export function looks(...stages) {
  const { look } = stages[0];
  const set = (name) => (value) => {
    for (const stage of stages) {
      stage.look[name] = value;
      stage.draw();
    }
  };
  const words = text.look;
  const least = h("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.05,
    value: look.least,
    oninput: () => set("least")(Number(least.value)),
  });
  return h(
    "div",
    { class: "bar", role: "group", "aria-label": words.name },
    ["joints", "boxes", "ids", "trails"].map((name) => toggle(words[name], look[name], set(name))),
    choice(words.colour, Object.entries(words.colours), look.colour, set("colour")),
    h("label", { class: "field" }, h("span", {}, words.least), least),
  );
}

function downloads(run) {
  const words = text.downloads;
  const lines = () =>
    run.films
      .flatMap((film) => edited(film.frames, run.edits))
      .map(line)
      .join("");
  const give = (label, name, content) => {
    return h(
      "li",
      {},
      h("button", { type: "button", onclick: () => download(name, content()) }, label),
    );
  };
  const own = [
    give(words.journal, "frames.jsonl", lines),
    give(words.edits, "edits.json", () => JSON.stringify(run.edits, null, 1)),
  ];
  const links = run.downloads.map(({ name, url }) =>
    h("li", {}, h("a", { href: url, download: "" }, name)),
  );
  return section(words.heading, h("ul", { class: "downloads" }, links.length ? links : own));
}

/** A line of frames.jsonl. */
function line({ source, index, time, width, height, people }) {
  return `${JSON.stringify({ source, frame: index, time, width, height, people })}\n`;
}
