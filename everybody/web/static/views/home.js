// Drop files, choose options, watch jobs.

import { choice, h, say, toggle } from "../dom.js";
import { drawPeople } from "../player/draw.js";
import { explain, text } from "../text.js";
import { servedFolder } from "./folder.js";
import { droppedFiles, isPicture, isVideo } from "../work/media.js";

const words = text.home;
const LOOK = { joints: true, boxes: false, ids: false, colour: "side", least: 0.3 };

export async function show(view, app) {
  const [place] = Object.keys(app.places);
  const model = app.places.server?.info.model ?? "fast";
  const options = { model, place, track: true, smooth: false, lift: false };
  const list = h("ul", { class: "jobs" });
  const jobs = new JobList(list, app);
  const { server } = app.places;
  const begin = (files) => start(files, options, app.places[options.place]);
  const beginFrom = (entries) => startFrom(entries, options, server);
  view.append(
    h("h1", {}, words.heading),
    dropZone(begin),
    optionFields(options, app),
    server?.info.folder ? servedFolder(server, beginFrom) : "",
    h("h2", {}, words.jobs),
    list,
    server ? "" : h("p", { class: "faint" }, words.alone),
  );
  await jobs.update();
  const stops = Object.values(app.places).map((place) => place.watch(() => jobs.update()));
  return () => stops.forEach((stop) => stop());
}

/** Jobs of files: one of all videos, one of all pictures, which are no film. */
async function start(files, options, place) {
  const videos = files.filter(isVideo);
  const pictures = files.filter((file) => !isVideo(file) && isPicture(file));
  if (!videos.length && !pictures.length) return say(words.nothing);
  const told = (part) => say(words.uploading(part));
  try {
    if (videos.length) await place.create(videos, asked(options, place), told);
    if (pictures.length) await place.create(pictures, asked(options, place, { still: true }), told);
    say("");
  } catch (error) {
    say(explain(error));
  }
}

/** The options of a job. Ids and steady joints are of videos; only a server puts people in space. */
function asked({ model, track, smooth, lift, fov, height }, place, { still = false } = {}) {
  const space = lift && place.key === "server" ? { lift, fov, height } : {};
  return { model, track: track && !still, smooth: smooth && !still, ...space };
}

/** The same of what lies in the server's folder. */
async function startFrom(entries, options, server) {
  const of = (still) => entries.filter(({ kind }) => (kind === "picture") === still);
  const paths = (some) => some.map(({ path }) => path);
  try {
    if (of(false).length) await server.createFrom(paths(of(false)), asked(options, server));
    if (of(true).length)
      await server.createFrom(paths(of(true)), asked(options, server, { still: true }));
  } catch (error) {
    say(explain(error));
  }
}

function dropZone(begin) {
  const picker = (label, more) => {
    const input = h("input", { type: "file", multiple: true, class: "hidden", ...more });
    input.addEventListener("change", () => {
      begin([...input.files]);
      input.value = "";
    });
    return h("label", { class: "button" }, label, input);
  };
  const zone = h(
    "section",
    { class: "drop", "aria-label": words.drop },
    h("p", {}, words.drop),
    h(
      "div",
      { class: "bar" },
      picker(words.files, { accept: "image/*,video/*", id: "files" }),
      picker(words.folder, { webkitdirectory: true, id: "folder" }),
    ),
  );
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    begin(await droppedFiles(event.dataTransfer));
  });
  return zone;
}

function optionFields(options, app) {
  const set = (name) => (value) => (options[name] = value);
  const places = Object.keys(app.places).map((place) => [place, words.places[place]]);
  const space = app.places.server ? new SpaceFields(options) : null;
  const go = (place) => {
    options.place = place;
    space?.offer(place === "server");
  };
  return h(
    "fieldset",
    { class: "bar" },
    h("legend", {}, words.options),
    choice(words.model, Object.entries(words.models), options.model, set("model")),
    places.length > 1 ? choice(words.place, places, options.place, go) : null,
    toggle(words.track, options.track, set("track")),
    toggle(words.smooth, options.smooth, set("smooth")),
    space?.element,
  );
}

/** Whether people are put in space, and what is known of the camera and of them. */
class SpaceFields {
  constructor(options) {
    this.numbers = h(
      "span",
      { class: "bar", hidden: true },
      number(words.fov, { min: 1, max: 179, step: 1 }, (value) => (options.fov = value)),
      number(words.height, { min: 0.3, max: 3, step: 0.01 }, (value) => (options.height = value)),
    );
    const lift = toggle(words.lift, options.lift, (checked) => {
      options.lift = checked;
      this.numbers.hidden = !checked;
    });
    this.element = h("span", { class: "bar" }, lift, this.numbers);
  }

  offer(possible) {
    this.element.hidden = !possible;
  }
}

/** A labelled number that may be left out: change(undefined) then. */
function number(label, props, change) {
  const input = h("input", { type: "number", placeholder: words.unknown, ...props });
  input.addEventListener("input", () => {
    change(input.value === "" ? undefined : Number(input.value));
  });
  return h("label", { class: "field" }, h("span", {}, label), input);
}

/** The jobs of all places, each an item that is updated in its place. */
class JobList {
  constructor(list, app) {
    Object.assign(this, { list, app, items: new Map(), turn: 0 });
  }

  async update() {
    const turn = ++this.turn;
    const places = Object.values(this.app.places);
    const found = await Promise.all(
      places.map(async (place) => (await place.jobs()).map((job) => ({ place, job }))),
    ).catch((error) => say(explain(error)));
    if (!found || turn !== this.turn) return;
    const all = found.flat();
    const items = all.map(({ place, job }) => {
      const key = `${place.key}/${job.id}`;
      const item = this.items.get(key) ?? new JobItem(place, job, this.app.models);
      this.items.set(key, item);
      item.update(job);
      return item.element;
    });
    if (!items.length) items.push(h("li", { class: "faint" }, words.none));
    const same =
      items.length === this.list.children.length &&
      items.every((one, n) => one === this.list.children[n]);
    if (!same) this.list.replaceChildren(...items);
  }
}

class JobItem {
  constructor(place, job, models) {
    Object.assign(this, { place, id: job.id, models });
    const button = (label, act) => {
      return h("button", { type: "button", onclick: () => this.#do(act) }, label);
    };
    this.name = h("h3", {}, job.name);
    this.state = h("p", { class: "faint" });
    this.bar = h("progress", { "aria-label": job.name });
    this.picture = h("canvas", {
      hidden: true,
      class: "newest",
      role: "img",
      "aria-label": words.newest(job.name),
    });
    this.open = h(
      "a",
      { class: "button", href: `#/run/${place.key}/${encodeURIComponent(job.id)}` },
      words.open,
    );
    this.cancel = button(words.cancel, () => place.cancel(this.id));
    this.resume = button(words.resume, () => place.resume(this.id));
    this.remove = button(
      words.remove,
      () => confirm(words.sure(job.name)) && place.remove(this.id),
    );
    const buttons = h("div", { class: "bar" }, this.open, this.cancel, this.resume, this.remove);
    this.element = h(
      "li",
      { class: "job" },
      this.picture,
      h("div", {}, this.name, this.state, this.bar, buttons),
    );
  }

  update(job) {
    const { state, done, total, error, overlay } = job;
    const busy = state === "running" || state === "waiting";
    const said = error ? ` · ${explain(error)}` : "";
    this.element.dataset.state = state;
    const stands = `${words.state[state] ?? state} · ${words.progress(done, total)}`;
    this.state.textContent = `${stands} · ${text.made(job)}${said}`;
    this.bar.hidden = !busy;
    if (total) Object.assign(this.bar, { max: total, value: done });
    else this.bar.removeAttribute("value");
    this.open.hidden = !done;
    this.cancel.hidden = !busy;
    this.remove.hidden = busy;
    this.resume.hidden = !["cancelled", "interrupted", "failed"].includes(state);
    this.picture.hidden &&= !overlay;
    if (overlay) this.#show(overlay);
  }

  async #do(act) {
    try {
      await act();
    } catch (error) {
      say(explain(error));
    }
  }

  /** overlay: {url} of a drawn picture, or {image, people, width, height} to draw. */
  async #show({ url, image, people, width, height }) {
    if (url && url === this.shown) return;
    this.shown = url;
    const picture = image ?? (await loaded(url));
    if (!picture) return;
    Object.assign(this.picture, { width: picture.width, height: picture.height });
    const context = this.picture.getContext("2d");
    context.drawImage(picture, 0, 0);
    if (!people) return;
    const scale = picture.width / width;
    context.setTransform(scale, 0, 0, scale, scale / 2, scale / 2);
    drawPeople(context, people, this.models.skeletons["coco-17"], LOOK, 1 / scale);
  }
}

async function loaded(url) {
  const picture = new Image();
  picture.src = url;
  await picture.decode().catch(() => null);
  return picture.naturalWidth ? picture : null;
}
