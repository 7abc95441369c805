// The panel of corrections: who is chosen, new ids, merging, splitting, moving joints, undo.

import { h, say } from "../dom.js";
import { freshId, idsOf, together } from "../player/edits.js";
import { text } from "../text.js";

const words = text.edits;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Corrections {
  /** run: {film, run, frame}; keep(edit), undo() and choose(id) as the run does them. */
  constructor(run, { keep, undo, choose }) {
    Object.assign(this, { run, keep, chosen: null });
    const { skeleton } = run.run;
    this.count = h("span", { class: "faint" });
    this.undo = h("button", { type: "button", onclick: undo }, words.undo);
    this.who = h("select", {
      onchange: () => choose(this.who.value === "" ? null : Number(this.who.value)),
    });
    this.newId = h("input", { type: "number", min: 1, step: 1 });
    this.other = h("select", {});
    this.joint = h(
      "select",
      {},
      skeleton.joints.map((name, k) => h("option", { value: k }, text.plot.label(name))),
    );
    this.keys = h(
      "button",
      { type: "button", "data-keys": "own", onkeydown: (event) => this.#nudge(event) },
      words.moveKeys,
    );
    this.ids = this.#ids();
    this.joints = this.#joints();
    this.element = h(
      "section",
      {},
      h("h2", {}, words.heading),
      h("div", { class: "bar" }, this.undo, this.count),
      h("label", { class: "field" }, h("span", {}, words.person), this.who),
      this.ids,
      this.joints,
    );
  }

  choose(id, joint) {
    if (id !== this.chosen) this.newId.value = "";
    this.chosen = id;
    if (joint !== undefined) this.joint.value = joint;
    this.update();
  }

  update() {
    const { edits } = this.run.run;
    this.count.textContent = words.count(edits.length);
    this.undo.disabled = !edits.length;
    const all = idsOf(this.run.film.frames);
    const here = (this.run.frame?.people ?? []).map((one, place) => one.id ?? place);
    const tracked = this.run.frame?.people.every((one) => one.id !== null);
    const name = (id) => (tracked ? text.timeline.person(id) : words.unnamed(id + 1));
    const shown = new Set(this.chosen === null ? here : [...here, this.chosen]);
    offer(this.who, [["", words.nobody], ...[...shown].map((id) => [id, name(id)])]);
    this.who.value = this.chosen ?? "";
    offer(
      this.other,
      all.filter((id) => id !== this.chosen).map((id) => [id, String(id)]),
    );
    this.ids.hidden = !all.includes(this.chosen);
    this.joints.hidden = !here.includes(this.chosen);
  }

  #ids() {
    const button = (label, act) => h("button", { type: "button", onclick: act }, label);
    const field = (label, input) => h("label", { class: "field" }, h("span", {}, label), input);
    return h(
      "div",
      {},
      h(
        "div",
        { class: "bar" },
        field(words.rename, this.newId),
        button(words.apply, () => this.#rename()),
      ),
      h(
        "div",
        { class: "bar" },
        field(words.merge, this.other),
        button(words.mergeDo, () => this.#merge()),
      ),
      button(words.split, () => this.#split()),
    );
  }

  #joints() {
    const field = h("label", { class: "field" }, h("span", {}, words.joint), this.joint);
    return h(
      "div",
      {},
      h("p", { class: "faint" }, words.moveHelp),
      h("div", { class: "bar" }, field, this.keys),
    );
  }

  #rename() {
    const to = Number(this.newId.value);
    if (!Number.isInteger(to) || to < 1) return say(words.noUse);
    this.#to(to, null);
  }

  #merge() {
    this.#to(Number(this.other.value), null);
  }

  #split() {
    this.#to(freshId(this.run.film.frames), this.run.frame.index);
  }

  #to(to, from) {
    const { film, frame } = this.run;
    const frames = from === null ? film.frames : film.frames.slice(film.n);
    if (together(frames, this.chosen, to)) return say(words.apart(this.chosen, to));
    this.keep({ op: "rename", source: frame.source, id: this.chosen, to, from, until: null });
  }

  #nudge(event) {
    const move = ARROWS[event.key];
    const { people, source, index } = this.run.frame;
    const person = people.findIndex((one, place) => (one.id ?? place) === this.chosen);
    if (!move || person < 0) return;
    event.preventDefault();
    const joint = Number(this.joint.value);
    const [x, y] = people[person].keypoints[joint];
    const step = event.shiftKey ? 10 : 1;
    this.keep({
      op: "move",
      source,
      frame: index,
      person,
      joint,
      x: x + move[0] * step,
      y: y + move[1] * step,
    });
  }
}

/** The options of a choice, replaced only where they differ: an open list stays open. */
function offer(select, options) {
  const now = [...select.options].map((option) => option.value).join();
  if (now === options.map(([value]) => value).join()) return;
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, label]) => h("option", { value }, label)));
  if (options.some(([value]) => String(value) === chosen)) select.value = chosen;
}
