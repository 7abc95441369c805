// What the apps make of a run: a character that moves as a person did, and things drawn into a film.

import { choice, h, toggle } from "../dom.js";
import { idsOf } from "../player/edits.js";
import { Space } from "../player/space.js";
import { explain, text } from "../text.js";

const OWN = "own"; // the choice of a character of one's own

/** A panel that asks for something which takes a while, and shows what came of it. */
class Panel {
  constructor(words) {
    this.words = words;
    this.turn = 0;
    this.said = h("p", { role: "status" });
    this.shown = h("div", {});
    this.go = h("button", { type: "button", onclick: () => this.make() }, words.start);
  }

  /** What was made is of other choices, or of results without the newest correction. */
  outdated() {
    this.turn++;
    this.go.disabled = false;
    this.said.textContent = "";
    this.clear();
  }

  clear() {
    this.shown.replaceChildren();
  }

  async make() {
    const turn = ++this.turn;
    this.clear();
    this.go.disabled = true;
    this.said.textContent = this.words.making;
    try {
      const show = await this.asked();
      if (turn === this.turn) show();
    } catch (error) {
      if (turn === this.turn) this.said.textContent = explain(error);
    }
    if (turn === this.turn) this.go.disabled = false;
  }
}

/** One person of a film on a character: seen in space, to be downloaded as .glb and .bvh. */
export class AnimationPanel extends Panel {
  /** ask: what the place of the run does, as `place.uses(id)`. */
  constructor(film, known, ask) {
    super(text.animation);
    Object.assign(this, { film, ask, character: known.characters[0], file: null });
    const { words } = this;
    const named = known.characters.map((name) => [name, words.characters[name] ?? name]);
    this.person = h("select", { onchange: () => this.outdated() });
    this.own = upload(words.file, words.kinds, (file) => {
      this.file = file;
      this.outdated();
    });
    this.own.hidden = true;
    const choose = (name) => {
      this.character = name;
      this.own.hidden = name !== OWN;
      this.outdated();
    };
    this.element = h(
      "div",
      {},
      h(
        "div",
        { class: "bar" },
        h("label", { class: "field" }, h("span", {}, words.person), this.person),
        choice(words.character, [...named, [OWN, words.own]], this.character, choose),
        this.own,
        this.go,
      ),
      this.said,
      this.shown,
    );
  }

  /** The ids of these frames may be chosen. */
  show(frames) {
    const before = this.person.value;
    const people = idsOf(frames).map((id) => [String(id), text.timeline.person(id)]);
    const all = [["", this.words.longest], ...people];
    this.person.replaceChildren(...all.map(([value, label]) => h("option", { value }, label)));
    this.person.value = all.some(([value]) => value === before) ? before : "";
    this.outdated();
  }

  close() {
    this.clear();
  }

  clear() {
    this.space?.close();
    this.space = null;
    super.clear();
  }

  async asked() {
    const { film, words } = this;
    const own = this.character === OWN;
    const character = own ? await this.ask.keep(this.file, words.noFile) : this.character;
    const asked = { character };
    if (this.person.value !== "") asked.person = this.person.value;
    const moved = await this.ask.animation(film.film.source, asked);
    return () => {
      this.space = new Space(film, moved);
      this.said.textContent = words.found(moved.person, moved.standing, moved.slid);
      const links = ["glb", "bvh"].map((format) =>
        link(words.download(format), this.ask.animationUrl(film.film.source, { ...asked, format })),
      );
      this.shown.replaceChildren(this.space.element, h("ul", { class: "downloads" }, links));
    };
  }
}

/** Things that people wear, and a picture on a target, drawn into a film. */
export class WornPanel extends Panel {
  constructor(film, known, ask) {
    super(text.worn);
    Object.assign(this, { film, ask, things: new Set(), files: {} });
    const { words } = this;
    const wear = (name) => (checked) => {
      if (checked) this.things.add(name);
      else this.things.delete(name);
      this.outdated();
    };
    const given = (name) => (file) => {
      this.files[name] = file;
      this.outdated();
    };
    this.width = number(words.width, 21, 1, 10000, () => this.outdated());
    this.element = h(
      "div",
      {},
      h(
        "div",
        { class: "bar", role: "group", "aria-label": words.wear },
        known.things.map((name) => toggle(words.things[name] ?? name, false, wear(name))),
      ),
      h(
        "details",
        {},
        h("summary", {}, words.target),
        h("p", { class: "faint" }, words.targetHelp),
        h(
          "div",
          { class: "bar" },
          upload(words.targetFile, "image/png,image/jpeg,image/webp", given("target")),
          upload(words.showFile, "image/png,image/jpeg,image/webp", given("show")),
          this.width,
        ),
      ),
      h("div", { class: "bar" }, this.go),
      this.said,
      this.shown,
    );
  }

  /** After each correction. */
  show() {
    this.outdated();
  }

  close() {
    this.clear();
  }

  async asked() {
    const { film, words, files } = this;
    const asked = { wear: [...this.things].join() };
    if (files.target || files.show) {
      asked.target = await this.ask.keep(files.target, words.noTarget);
      asked.show = await this.ask.keep(files.show, words.noShow);
      asked.width = this.width.querySelector("input").valueAsNumber / 100;
    }
    const source = film.film.source ?? film.frames[film.n].number;
    const still = film.film.kind !== "video";
    const url = await this.ask.augmented(source, asked);
    return () => {
      this.said.textContent = words.done;
      const seen = still
        ? h("img", { class: "made", src: url, alt: words.picture })
        : h("video", { class: "made", src: url, controls: true, muted: true, preload: "auto" });
      if (!still) seen.setAttribute("aria-label", words.film);
      this.shown.replaceChildren(seen, h("ul", { class: "downloads" }, link(words.download, url)));
    };
  }
}

const link = (label, url) => h("li", {}, h("a", { href: url, download: "" }, label));

function upload(label, accept, chosen) {
  const input = h("input", { type: "file", accept, onchange: () => chosen(input.files[0]) });
  return h("label", { class: "field" }, h("span", {}, label), input);
}

function number(label, value, min, max, changed) {
  const input = h("input", { type: "number", value, min, max, onchange: changed });
  return h("label", { class: "field" }, h("span", {}, label), input);
}
