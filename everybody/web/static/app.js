// The page's start: who does the work, and which view the address asks for.

import { h, say } from "./dom.js";
import { explain, text } from "./text.js";
import { Alone } from "./work/alone.js";
import { openServer } from "./work/server.js";

const VIEWS = {
  "": () => import("./views/home.js"),
  run: () => import("./views/run.js"),
  live: () => import("./views/live.js"),
  compare: () => import("./views/compare.js"),
};

const app = { models: null, places: {} };
let leave = () => {};
let turn = 0;

/** #/run/server/12 -> ["run", "server", "12"] */
const address = () => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);

async function show() {
  const mine = ++turn;
  const [name, ...rest] = address();
  const view = document.getElementById("view");
  leave();
  leave = () => {};
  try {
    const module = await (VIEWS[name] ?? VIEWS[""])();
    if (mine !== turn) return;
    // Of its own: a view that still loads when the user goes on fills nobody else's place.
    const own = h("div", {});
    view.replaceChildren(own);
    if (mine > 1) view.focus({ preventScroll: true });
    const left = await module.show(own, app, rest);
    if (mine === turn) leave = left ?? leave;
    else left?.();
  } catch (error) {
    if (mine !== turn) return;
    view.replaceChildren(h("p", { role: "alert", class: "problem" }, explain(error)));
  }
  const heading = view.querySelector("h1")?.textContent;
  document.title = heading ? `${heading} · ${text.title}` : text.title;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === `#/${name}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function top() {
  const link = (hash, words) => h("a", { href: `#/${hash}` }, words);
  document
    .getElementById("top")
    .append(
      h("a", { class: "name", href: "#/" }, h("img", { src: "icon.svg", alt: "" }), text.title),
      h(
        "nav",
        { "aria-label": text.nav.name },
        link("", text.nav.home),
        link("live", text.nav.live),
        link("compare", text.nav.compare),
      ),
      h("p", { class: "faint", id: "where" }),
    );
}

async function start() {
  top();
  try {
    await open();
  } catch (error) {
    const words = h("p", { role: "alert", class: "problem" }, explain(error));
    document.getElementById("view").replaceChildren(words);
  }
}

async function open() {
  app.models = await (await fetch("models.json")).json();
  const server = await openServer(app.models);
  if (server) app.places.server = server;
  if (app.models.engine) app.places.alone = new Alone();
  const words = !server
    ? text.where.alone
    : app.models.engine
      ? text.where.server
      : text.where.noEngine;
  document.getElementById("where").textContent = words;
  window.addEventListener("hashchange", show);
  await show();
  if (!server && "serviceWorker" in navigator) {
    navigator.serviceWorker.register("sw.js").catch((error) => say(explain(error)));
  }
}

start();
