// Jobs that the server of this page does. Its routes are described at api/docs.

import { Problem } from "../pose/problem.js";
import { text } from "../text.js";

const SPATIAL = "h36m-17"; // joints of people in space where their lines do not say
const TOKEN = new URLSearchParams(location.search).get("token");

/** An address of the server, with the token of the page's own address, if it has one. */
function url(path) {
  const address = new URL(path, document.baseURI);
  if (TOKEN) address.searchParams.set("token", TOKEN);
  return address.href;
}

/** The server's answer. Raises Problem. */
async function ask(path, { method = "GET", json, body, headers = {} } = {}) {
  let answer;
  try {
    answer = await fetch(url(path), {
      method,
      headers: json === undefined ? headers : { "Content-Type": "application/json" },
      body: json === undefined ? body : JSON.stringify(json),
    });
  } catch {
    throw new Problem("lost");
  }
  if (answer.ok) return answer;
  throw refusal(answer.status, await answer.text());
}

/** The problem that a refusal means: a server says {"detail": …}. */
function refusal(status, body) {
  if (status === 404) return new Problem("gone");
  let detail = body;
  try {
    detail = JSON.parse(body).detail ?? body;
  } catch {
    // Not JSON: a proxy has answered.
  }
  return new Problem("server", typeof detail === "string" ? detail : JSON.stringify(detail));
}

/** The server of this page; null where the page is a static site. Raises Problem. */
export async function openServer(models) {
  return models.server ? new Server(models, await (await ask("api/info")).json()) : null;
}

class Server {
  constructor(models, info) {
    Object.assign(this, { key: "server", models, info, listeners: new Set(), events: null });
  }

  /** Calls changed() whenever a job moves on; returns what ends that. */
  watch(changed) {
    this.listeners.add(changed);
    if (!this.events) {
      this.events = new EventSource(url("api/events"));
      this.events.onmessage = () => this.listeners.forEach((listener) => listener());
    }
    return () => {
      this.listeners.delete(changed);
      if (this.listeners.size) return;
      this.events?.close();
      this.events = null;
    };
  }

  async jobs() {
    const jobs = await (await ask("api/jobs")).json();
    return jobs.map((job) => ({
      ...job,
      error: job.error ? { code: "server", detail: job.error } : null,
      overlay: job.overlay ? { url: url(`api/jobs/${job.id}/overlay?frame=${job.done}`) } : null,
    }));
  }

  /** Uploads files; told(part) while they are on their way. */
  create(files, options, told) {
    const form = new FormData();
    form.append("options", JSON.stringify(options));
    for (const file of files) form.append("files", file, file.webkitRelativePath || file.name);
    return new Promise((resolve, reject) => {
      const upload = new XMLHttpRequest(); // fetch does not tell how far it has come
      upload.upload.onprogress = ({ loaded, total }) => told(loaded / total);
      upload.onerror = () => reject(new Problem("lost"));
      upload.onload = () => {
        if (upload.status < 300) resolve(JSON.parse(upload.responseText).id);
        else reject(refusal(upload.status, upload.responseText));
        this.listeners.forEach((listener) => listener());
      };
      upload.open("POST", url("api/jobs"));
      upload.send(form);
    });
  }

  /** What lies in the served folder: [{name, path, kind, bytes}]. */
  async folder(path) {
    return (await ask(`api/folder?path=${encodeURIComponent(path)}`)).json();
  }

  /** A job of files that lie in the served folder. */
  createFrom(paths, options) {
    return ask("api/jobs", { method: "POST", json: { paths, options } });
  }

  cancel(id) {
    return ask(`api/jobs/${id}/cancel`, { method: "POST" });
  }

  resume(id) {
    return ask(`api/jobs/${id}/resume`, { method: "POST" });
  }

  async remove(id) {
    await ask(`api/jobs/${id}`, { method: "DELETE" });
    this.listeners.forEach((listener) => listener());
  }

  async run(id) {
    const job = await (await ask(`api/jobs/${id}`)).json();
    const frames = lines(await (await ask(`api/jobs/${id}/frames`)).text());
    return {
      ...job,
      skeleton: this.models.skeletons[job.skeleton] ?? job.skeleton,
      films: films(job.sources, frames),
      lifted: job.lifted ? lifted(await (await ask(job.lifted)).text(), this.models) : null,
      downloads: [...drawn(job.sources), ...job.downloads].map((one) => {
        return { name: one.name, url: url(one.url) };
      }),
    };
  }

  async edit(id, edit) {
    return (await ask(`api/jobs/${id}/edits`, { method: "POST", json: edit })).json();
  }

  async undo(id) {
    return (await ask(`api/jobs/${id}/edits/last`, { method: "DELETE" })).json();
  }

  /** What its coach knows: [{name, title, view, hold, unit}]. */
  async exercises() {
    return (await ask("api/exercises")).json();
  }

  /** What can be made of a job: {things, characters}. */
  async uses() {
    return (await ask("api/uses")).json();
  }

  /** Makes things of one job: each answer takes a while the first time. */
  maker(id) {
    const path = (what, source, asked) =>
      `api/jobs/${id}/${what}/${source}?${new URLSearchParams(asked)}`;
    return {
      /** A file that the server keeps -> the name it has there. Raises Problem. */
      async keep(file, missing) {
        if (!file) throw new Problem("missing", missing);
        const to = `api/jobs/${id}/own?name=${encodeURIComponent(file.name)}`;
        return (await (await ask(to, { method: "POST", body: file })).json()).file;
      },
      animationUrl: (source, asked) => url(path("animations", source, asked)),
      /** A character's bones, frame by frame, for player/space.js. */
      async animation(source, asked) {
        const answer = await ask(path("animations", source, { ...asked, format: "json" }));
        const said = await answer.json();
        return { ...said, frames: said.frames.map(({ frame, ...rest }) => ({ ...rest, index: frame })) };
      },
      /** The address of a film or picture that is there once this has answered. */
      async augmented(source, asked) {
        const to = path("augmented", source, asked);
        await ask(to, { headers: { Range: "bytes=0-0" } });
        return url(to);
      },
    };
  }

  /** A person's repetitions in one source; person: an id, or null for whoever is largest. */
  async coach(id, { exercise, person, source }) {
    const query = new URLSearchParams({ exercise, source });
    if (person !== null) query.set("person", person);
    return (await ask(`api/jobs/${id}/coach?${query}`)).json();
  }

  live() {
    return new ServerLive();
  }
}

/** Lines of frames.jsonl; one that is not whole yet is left out. */
function lines(journal) {
  const whole = journal.slice(0, journal.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const { frame, people, ...rest } = JSON.parse(line);
      return { ...rest, index: frame, people: people.map((one) => ({ id: null, ...one })) };
    });
}

/** Sources and frames -> films: each video, and all pictures as one. */
function films(sources, frames) {
  const numbered = sources.map((source, number) => ({ ...source, number }));
  const found = new Map(numbered.map((source) => [source.name, source]));
  const moving = numbered.filter(({ kind }) => kind === "video");
  const of = (name) => frames.filter((frame) => frame.source === name);
  const out = moving.map(({ name, url: path, number }) => {
    return { kind: "video", name, url: url(path), source: number, frames: of(name) };
  });
  const still = frames
    .filter((frame) => found.get(frame.source)?.kind === "picture")
    .map((frame) => {
      const { url: path, number } = found.get(frame.source);
      return { ...frame, url: url(path), number };
    });
  if (still.length) out.push({ kind: "pictures", name: "", frames: still });
  return out.filter((film) => film.frames.length);
}

/** Links to the films with people drawn on them. */
function drawn(sources) {
  const films = sources.filter(({ kind, overlay }) => kind === "video" && overlay);
  return films.map(({ name, overlay }) => ({ name: text.downloads.drawn(name), url: overlay }));
}

/** A journal of people in space -> what player/space.js shows. */
function lifted(journal, models) {
  const frames = lines(journal);
  return { skeleton: models.skeletons[frames[0]?.skeleton ?? SPATIAL], frames };
}

/** Live frames by the server: pictures go as JPEG, one at a time. */
class ServerLive {
  async open({ model, track, smooth, coach }) {
    const asked = new URLSearchParams({ model, track, smooth, coach });
    const address = new URL(url(`api/live?${asked}`));
    this.options = JSON.stringify({ track, smooth, coach });
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.canvas = new OffscreenCanvas(1, 1);
    await new Promise((resolve, reject) => {
      this.socket.onopen = resolve;
      this.socket.onerror = () => reject(new Problem("lost"));
    });
    this.socket.onmessage = ({ data }) => this.#answered(JSON.parse(data));
    this.socket.onclose = ({ reason }) =>
      this.reject?.(new Problem(reason ? "server" : "lost", reason));
    return {};
  }

  async people(image, time, { track, smooth, coach }) {
    const options = JSON.stringify({ track, smooth, coach });
    if (options !== this.options) this.socket.send(options);
    this.options = options;
    Object.assign(this.canvas, { width: image.width, height: image.height });
    this.canvas.getContext("2d").drawImage(image, 0, 0);
    image.close();
    const picture = await this.canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
    const answer = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.socket.send(picture);
    return answer;
  }

  close() {
    this.socket?.close();
  }

  #answered(said) {
    if (said.error) this.reject(new Problem("server", said.error));
    else this.resolve({ ...said, people: said.people.map((one) => ({ id: null, ...one })) });
  }
}
