// Play, step and seek; the same keys work anywhere in the player.

import { h, icon } from "../dom.js";
import { text } from "../text.js";

const KEYS = {
  " ": (film) => (film.playing ? film.pause() : film.play()),
  k: (film) => (film.playing ? film.pause() : film.play()),
  ",": (film) => film.step(-1),
  ".": (film) => film.step(1),
  ArrowLeft: (film) => film.step(-1),
  ArrowRight: (film) => film.step(1),
  Home: (film) => film.seek(0),
  End: (film) => film.seek(film.frames.length - 1),
};

const STEPS = { ",": -1, ".": 1 }; // keys that no control but a field of numbers uses
const TYPED = "input[type=number], textarea";
const USED = "input, select, textarea, button, a, [data-keys]";

export function transport(film) {
  const words = text.transport;
  const button = (label, sign, act) => {
    return h(
      "button",
      { type: "button", "aria-label": label, title: label, onclick: act },
      icon(sign),
    );
  };
  const play = button(words.play, "play", () => (film.playing ? film.pause() : film.play()));
  const slider = h("input", {
    type: "range",
    min: 0,
    max: Math.max(film.frames.length - 1, 0),
    value: 0,
    "aria-label": words.position,
    oninput: () => film.seek(Number(slider.value)),
  });
  const place = h("output", { class: "place" });

  const update = () => {
    slider.value = film.n;
    const said = where(film);
    slider.setAttribute("aria-valuetext", said);
    place.textContent = said;
    const label = film.playing ? words.pause : words.play;
    play.replaceChildren(icon(film.playing ? "pause" : "play"));
    play.setAttribute("aria-label", label);
    play.title = label;
  };
  film.addEventListener("frame", update);
  film.addEventListener("state", update);
  update();
  return h(
    "div",
    { class: "transport", role: "group", "aria-label": words.name },
    button(words.back, "back", () => film.step(-1)),
    play,
    button(words.forward, "forward", () => film.step(1)),
    slider,
    place,
  );
}

/** Which frame is shown: its time in a video, its name among pictures. */
function where({ n, frames, time, film }) {
  const still = film.kind === "pictures";
  const words = text.transport;
  if (still && frames[n]) return words.named(n + 1, frames.length, frames[n].source);
  return words.place(n + 1, frames.length, time);
}

/** Keys of the player, except where somebody types or moves a slider. */
export function listenKeys(film) {
  const pressed = (event) => {
    const act = KEYS[event.key];
    const used = event.target.closest(event.key in STEPS ? TYPED : USED);
    if (!act || used || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(film);
  };
  document.addEventListener("keydown", pressed);
  return () => document.removeEventListener("keydown", pressed);
}
