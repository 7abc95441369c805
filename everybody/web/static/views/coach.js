// The coach: repetitions of an exercise by one person, each with a way to its turn.

import { choice, h, say } from "../dom.js";
import { idsOf } from "../player/edits.js";
import { frameAt } from "../player/film.js";
import { explain, text } from "../text.js";

const words = text.coach;
const AUTO = "auto";

/** The coach's exercises as choices, behind another one: [[name, words], …]. */
export function exercises(known, ...first) {
  return [...first, [AUTO, words.recognise], ...known.map(({ name, title }) => [name, title])];
}

export class CoachPanel {
  /** ask(exercise, person) is answered by the place; marked(turns, person) gets numbers of frames. */
  constructor(film, known, { ask, marked }) {
    Object.assign(this, { film, known, ask, marked, exercise: AUTO, turn: 0, asked: false });
    this.person = h("select", { onchange: () => this.asked && this.count() });
    this.said = h("p", { role: "status" });
    this.table = h("div", { class: "wide" });
    const choose = (name) => {
      this.exercise = name;
      if (this.asked) this.count();
    };
    this.element = h(
      "div",
      {},
      h(
        "div",
        { class: "bar" },
        choice(words.exercise, exercises(known), AUTO, choose),
        h("label", { class: "field" }, h("span", {}, words.person), this.person),
        h("button", { type: "button", onclick: () => this.count() }, words.start),
      ),
      this.said,
      this.table,
    );
  }

  /** The ids of these frames may be chosen; what was counted is counted anew. */
  show(frames) {
    const before = this.person.value;
    const people = idsOf(frames).map((id) => [String(id), text.timeline.person(id)]);
    const all = [["", words.largest], ...people];
    this.person.replaceChildren(...all.map(([value, label]) => h("option", { value }, label)));
    this.person.value = all.some(([value]) => value === before) ? before : "";
    if (this.asked) this.count();
  }

  async count() {
    const turn = ++this.turn;
    const person = this.person.value === "" ? null : Number(this.person.value);
    this.asked = true;
    this.said.textContent = words.counting;
    try {
      const found = await this.ask(this.exercise, person);
      if (turn === this.turn) this.#tell(found, person);
    } catch (error) {
      if (turn !== this.turn) return;
      this.#tell({ exercise: null, repetitions: [] }, person);
      this.said.textContent = explain(error);
      say(explain(error));
    }
  }

  #tell({ exercise, count, repetitions }, person) {
    const known = this.known.find(({ name }) => name === exercise);
    this.said.textContent = known ? words.found(known.title, count, known.hold) : words.unknown;
    const turns = repetitions.map(({ turn }) => frameAt(this.film.frames, turn));
    this.marked(turns, person);
    const rows = repetitions.map((one, n) => this.#row(one, turns[n]));
    const shown = rows.length ? [table(rows), unit(known)] : [];
    this.table.replaceChildren(...shown);
  }

  #row({ number, start, turn, end, reach, left, right, say }, frame) {
    const go = h(
      "button",
      {
        type: "button",
        onclick: () => {
          this.film.pause();
          this.film.seek(frame);
        },
      },
      h("span", { class: "hidden" }, words.go),
      words.time(turn),
    );
    const numbers = [end - start, reach, left, right];
    const cells = numbers.map((value) => h("td", {}, value === null ? "" : value.toFixed(2)));
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, String(number)),
      h("td", {}, go),
      cells,
      h("td", { class: "words" }, say.join(" ")),
    );
  }
}

function table(rows) {
  const heads = Object.values(words.columns).map((label) => h("th", { scope: "col" }, label));
  return h(
    "table",
    {},
    h("caption", { class: "hidden" }, words.table),
    h("thead", {}, h("tr", {}, heads)),
    h("tbody", {}, rows),
  );
}

const unit = (known) => h("p", { class: "faint" }, words.measured(words.unit(known.unit)));
