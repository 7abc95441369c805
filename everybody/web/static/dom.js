// Elements by function calls: h("button", {class: "main", onclick: go}, words).

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && !key.includes("-") && key !== "list") element[key] = value;
    else element.setAttribute(key === "class" ? "class" : key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const ICONS = {
  play: "M8 5v14l11-7z",
  pause: "M7 5h4v14H7zM13 5h4v14h-4z",
  back: "M6 5h3v14H6zM19 5v14L9 12z",
  forward: "M15 5h3v14h-3zM5 5v14l10-7z",
};

/** A sign on a button, in the colour of its text. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A labelled check box; change(checked) is called when it changes. */
export function toggle(label, checked, change) {
  const box = h("input", { type: "checkbox", checked, onchange: () => change(box.checked) });
  return h("label", { class: "toggle" }, box, label);
}

/** A labelled choice; options: [[value, words], …]. */
export function choice(label, options, chosen, change) {
  const select = h(
    "select",
    { onchange: () => change(select.value) },
    options.map(([value, words]) => h("option", { value, selected: value === chosen }, words)),
  );
  return h("label", { class: "field" }, h("span", {}, label), select);
}

const SHOWN = 8000; // milliseconds that words stay
let fading = 0;

/** Says something to people who see and to screen readers. */
export function say(words) {
  const place = document.getElementById("said");
  place.textContent = words;
  clearTimeout(fading);
  fading = setTimeout(() => (place.textContent = ""), SHOWN);
}

/** Gives a file to the user. */
export function download(name, content, type = "application/json") {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A canvas of the size at which it is shown, in device pixels, ready to draw in CSS pixels. */
export function fitted(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  const [wide, high] = [
    Math.max(1, Math.round(width * scale)),
    Math.max(1, Math.round(height * scale)),
  ];
  if (canvas.width !== wide || canvas.height !== high)
    Object.assign(canvas, { width: wide, height: high });
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** A colour of the style sheet, for canvases. */
export const css = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();
