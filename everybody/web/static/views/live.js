// The camera with skeletons over it, by this browser or by the server.

import { choice, h, say, toggle } from "../dom.js";
import { Stage } from "../player/stage.js";
import { Problem } from "../pose/problem.js";
import { explain, text } from "../text.js";
import { HereLive } from "../work/live.js";
import { exercises } from "./coach.js";
import { looks } from "./run.js";

const words = text.live;
const RECENT = 30; // frames over which the rate is told

export async function show(view, app) {
  const options = {
    model: "fast",
    track: true,
    smooth: true,
    coach: "",
    place: app.places.alone ? "alone" : "server",
  };
  const known = (await app.places.server?.exercises()) ?? [];
  const live = new Live(app, options, known);
  view.append(h("h1", {}, words.heading), live.element);
  return () => live.stop();
}

class Live {
  constructor(app, options, known) {
    Object.assign(this, { app, options, known, stream: null, turn: 0 });
    this.video = h("video", { muted: true, playsInline: true });
    this.picture = h("canvas", { "aria-hidden": "true" }); // the frame that the people are of
    this.stage = new Stage(this.picture, app.models.skeletons["coco-17"]);
    this.stage.look.trails = false;
    this.button = h(
      "button",
      { type: "button", class: "first", onclick: () => this.#switch() },
      words.start,
    );
    this.rate = h("output", { class: "place", id: "rate" }, words.waiting);
    this.by = h("span", { class: "faint" });
    const set = (name) => (value) => (options[name] = value);
    const places = Object.keys(app.places).map((place) => [place, text.home.places[place]]);
    const fields = [
      choice(words.model, Object.entries(text.home.models), options.model, this.#again("model")),
      places.length > 1 ? choice(words.place, places, options.place, this.#again("place")) : null,
      toggle(words.track, options.track, set("track")),
      toggle(words.smooth, options.smooth, set("smooth")),
      this.#coach(set("coach")),
    ];
    this.element = h(
      "div",
      {},
      h("div", { class: "bar" }, this.button, fields),
      this.stage.element,
      this.without,
      this.count,
      this.advice,
      h("div", { class: "bar" }, this.rate, this.by),
      looks(this.stage),
    );
    this.stage.show([{ time: 0, people: [] }], 0, [16, 9]);
  }

  /** The choice of an exercise, which only a server counts. */
  #coach(set) {
    this.count = h("p", { class: "count", "aria-hidden": "true" });
    this.advice = h("p", { role: "status" });
    this.without = h("p", { class: "faint" });
    this.without.textContent = this.known.length ? text.coach.server : text.coach.noServer;
    this.without.hidden = this.options.place === "server";
    if (!this.known.length) return null;
    const offered = exercises(this.known, ["", text.coach.none]);
    this.coach = choice(text.coach.exercise, offered, "", set);
    this.coach.hidden = this.options.place !== "server";
    return this.coach;
  }

  /** What the coach says: the count is large; screen readers hear it as it changes, with advice. */
  #coached(said) {
    const known = this.known.find(({ name }) => name === said?.exercise);
    this.count.textContent = known ? text.coach.count(said.count, known.hold) : "";
    const heard = known ? text.coach.found(known.title, Math.floor(said.count), known.hold) : "";
    // Advice stays until there is other advice, or another repetition.
    if (heard !== this.heard || said?.say.length) this.told = said?.say.join(" ") ?? "";
    this.heard = heard;
    const all = [heard, this.told].filter(Boolean).join(" ");
    if (this.advice.textContent !== all) this.advice.textContent = all;
  }

  stop() {
    this.turn++;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.worker?.close();
    Object.assign(this, { stream: null, worker: null });
    this.video.srcObject = null;
    this.button.textContent = words.start;
    this.rate.textContent = words.stopped;
  }

  /** A change that needs another engine: the camera goes on with it. */
  #again(name) {
    return async (value) => {
      this.options[name] = value;
      if (this.coach) this.coach.hidden = this.options.place !== "server";
      this.without.hidden = this.options.place === "server";
      if (!this.stream) return;
      this.stop();
      await this.#start();
    };
  }

  #switch() {
    if (this.stream) this.stop();
    else this.#start();
  }

  async #start() {
    const turn = ++this.turn;
    this.rate.textContent = words.starting;
    try {
      this.stream = await camera();
      this.button.textContent = words.stop;
      this.video.srcObject = this.stream;
      await this.video.play();
      this.worker = this.options.place === "alone" ? new HereLive() : this.app.places.server.live();
      const { provider, threads } = await this.worker.open(this.options);
      this.by.textContent = provider ? words.by(provider, threads) : "";
      await this.#loop(turn);
    } catch (error) {
      if (turn !== this.turn) return;
      this.stop();
      this.rate.textContent = explain(error);
      say(explain(error));
    }
  }

  /** Newest frame first: the next picture is taken when the last answer is here. */
  async #loop(turn) {
    const ends = [];
    while (turn === this.turn) {
      const begun = performance.now();
      const image = await createImageBitmap(this.video);
      const shown = await createImageBitmap(image);
      const { people, coach } = await this.worker.people(image, begun / 1000, this.options);
      if (turn !== this.turn) return;
      this.#coached(coach);
      const { width, height } = shown;
      Object.assign(this.picture, { width, height });
      this.picture.getContext("2d").drawImage(shown, 0, 0);
      shown.close();
      ends.push(performance.now());
      if (ends.length > RECENT) ends.shift();
      this.stage.show([{ time: begun / 1000, people, width, height }], 0, [width, height]);
      const span = (ends.at(-1) - ends[0]) / 1000;
      if (span) this.rate.textContent = words.rate((ends.length - 1) / span, ends.at(-1) - begun);
    }
  }
}

/** The user's camera. Raises Problem. */
async function camera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Problem(window.isSecureContext ? "noCamera" : "insecure");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 1280 } },
      audio: false,
    });
  } catch (error) {
    const codes = {
      NotAllowedError: "refused",
      NotFoundError: "noCamera",
      NotReadableError: "busy",
    };
    throw new Problem(codes[error.name] ?? "failed", error.message);
  }
}
