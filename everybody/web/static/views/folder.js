// The served folder: its files and folders, chosen by check boxes.

import { h, say } from "../dom.js";
import { explain, text } from "../text.js";

const words = text.folder;

/** begin(entries) starts jobs of what is chosen. */
export function servedFolder(server, begin) {
  const chosen = new Map(); // path -> entry
  const list = h("ul", { class: "folder" });
  const start = h("button", { type: "button", disabled: true, onclick: () => go() }, words.start);

  const go = async () => {
    await begin([...chosen.values()]);
    chosen.clear();
    open("");
  };
  const update = () => (start.disabled = !chosen.size);
  const open = async (path) => {
    try {
      const entries = await server.folder(path);
      const above = path ? [up(path)] : [];
      list.replaceChildren(...above, ...entries.map(entry));
      if (!list.children.length) list.append(h("li", { class: "faint" }, words.empty));
      update();
    } catch (error) {
      say(explain(error));
    }
  };
  const up = (path) => {
    const parent = path.split("/").slice(0, -1).join("/");
    return h("li", {}, h("button", { type: "button", onclick: () => open(parent) }, words.up));
  };
  const entry = ({ name, path, kind }) => {
    const box = h("input", {
      type: "checkbox",
      checked: chosen.has(path),
      onchange: () => {
        if (box.checked) chosen.set(path, { path, kind });
        else chosen.delete(path);
        update();
      },
    });
    const label = h("label", { class: "toggle" }, box, kind === "folder" ? `${name}/` : name);
    const into = h("button", { type: "button", onclick: () => open(path) }, words.open(name));
    return h("li", {}, label, kind === "folder" ? into : null);
  };
  const shown = h("details", {}, h("summary", {}, words.heading(server.info.folder)), list, start);
  shown.addEventListener("toggle", () => shown.open && open(""));
  return shown;
}
