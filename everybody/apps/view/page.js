"use strict";
// Data: millimetres with z up, pixels of the picture; see page.py.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const view = { turn: -0.6, tilt: 0.25, zoom: 1, frame: 0, playing: false, shown: new Set(data.ids) };
const pictures = new Map();

const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = (id) => data.colours[dark.matches ? "dark" : "light"][data.ids.indexOf(id)];
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function canvas(id) {
  const element = at(id), scale = window.devicePixelRatio || 1;
  const width = element.clientWidth, height = element.clientHeight;
  if (element.width !== Math.round(width * scale) || element.height !== Math.round(height * scale)) {
    element.width = Math.round(width * scale);
    element.height = Math.round(height * scale);
  }
  const pen = element.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineCap = "round";
  pen.lineWidth = 1;
  return { pen, width, height };
}

// The same camera as turning.py: it circles the room's middle and looks at it.
function camera(width, height) {
  const [cx, cy, cz] = data.middle, far = data.far / view.zoom;
  const up = Math.min(data.reach, 900), focal = Math.min(width, height) * 1.6;
  const ct = Math.cos(view.turn), st = Math.sin(view.turn);
  const ch = Math.cos(view.tilt), sh = Math.sin(view.tilt);
  return ([x, y, z]) => {
    const a = x - cx, b = y - cy, c = z - cz - up;
    const right = ct * a - st * b, away = st * a + ct * b;
    const depth = far + ch * away - sh * c, high = sh * away + ch * c;
    return depth < 100 ? null : [width / 2 + focal * right / depth, height / 2 - focal * high / depth, depth];
  };
}

function line(pen, a, b) {
  if (!a || !b) return;
  pen.beginPath();
  pen.moveTo(a[0], a[1]);
  pen.lineTo(b[0], b[1]);
  pen.stroke();
}

function grid(pen, project) {
  const [cx, cy, cz] = data.middle, step = 500, n = Math.ceil(data.reach / step);
  pen.strokeStyle = ink("--line");
  pen.lineWidth = 1;
  const corner = [Math.round(cx / step) * step, Math.round(cy / step) * step];
  for (let i = -n; i <= n; i++) {
    const s = i * step, e = n * step, [x, y] = corner;
    line(pen, project([x + s, y - e, cz]), project([x + s, y + e, cz]));
    line(pen, project([x - e, y + s, cz]), project([x + e, y + s, cz]));
  }
}

function bones(pen, points, limbs, sides, hue, width) {
  for (const [a, b] of limbs) {
    const side = sides[a] === "centre" ? sides[b] : sides[a];
    pen.strokeStyle = hue;
    pen.globalAlpha = side === "right" ? 0.6 : 1;
    pen.lineWidth = width;
    line(pen, points[a], points[b]);
  }
  pen.globalAlpha = 1;
  if (limbs.length) return;
  pen.fillStyle = hue;
  for (const p of points) if (p) pen.fillRect(p[0] - 2, p[1] - 2, 4, 4);
}

function drawSpace(frame) {
  const { pen, width, height } = canvas("space"), project = camera(width, height);
  grid(pen, project);
  const people = frame.people.filter((one) => view.shown.has(one.id))
    .map((one) => ({ id: one.id, points: one.joints.map((p) => p && project(p)) }));
  const depth = ({ points }) => Math.min(...points.filter(Boolean).map((p) => p[2]));
  for (const one of people.sort((a, b) => depth(b) - depth(a))) {
    bones(pen, one.points, data.limbs, data.sides, colour(one.id), 4);
    const top = one.points.filter(Boolean).sort((a, b) => a[1] - b[1])[0];
    pen.fillStyle = ink("--ink");
    if (top) pen.fillText(String(one.id), top[0] + 6, top[1] - 6);
  }
}

function drawFlat(frame) {
  if (!data.flat) return;
  const { pen, width, height } = canvas("flat"), [w, h] = frame.size;
  const scale = Math.min(width / w, height / h);
  if (!Number.isFinite(scale)) return;
  const left = (width - w * scale) / 2, top = (height - h * scale) / 2;
  pen.strokeStyle = ink("--line");
  pen.strokeRect(left, top, w * scale, h * scale);
  if (frame.picture) {
    let picture = pictures.get(frame.picture);
    if (!picture) {
      picture = new Image();
      picture.onload = draw;
      picture.src = frame.picture;
      pictures.set(frame.picture, picture);
    }
    if (picture.complete) pen.drawImage(picture, left, top, w * scale, h * scale);
  }
  for (const one of frame.flat) {
    if (one.id !== null && data.ids.includes(one.id) && !view.shown.has(one.id)) continue;
    const points = one.joints.map((p) => p && [left + (p[0] + 0.5) * scale, top + (p[1] + 0.5) * scale]);
    bones(pen, points, data.flat.limbs, data.flat.sides, data.ids.includes(one.id) ? colour(one.id) : ink("--ink"), 3);
  }
}

function drawPlot() {
  const { pen, width, height } = canvas("plot"), name = data.angles.indexOf(at("angle").value);
  if (name < 0 || !data.frames.length) return;
  const last = Math.max(1, data.frames.length - 1), x = (n) => 28 + (width - 36) * n / last;
  const y = (degrees) => height - 8 - (height - 16) * degrees / 180;
  pen.fillStyle = ink("--ink");
  pen.strokeStyle = ink("--line");
  for (const degrees of [0, 90, 180]) {
    pen.fillText(degrees + "°", 2, y(degrees) + 4);
    line(pen, [28, y(degrees)], [width - 8, y(degrees)]);
  }
  pen.lineWidth = 1.5;
  for (const id of view.shown) {
    pen.strokeStyle = colour(id);
    let before = null;
    data.frames.forEach((frame, n) => {
      const one = frame.people.find((person) => person.id === id);
      const value = one ? one.angles[name] : null;
      const here = value === null ? null : [x(n), y(value)];
      line(pen, before, here);
      before = here;
    });
  }
  pen.strokeStyle = ink("--ink");
  line(pen, [x(view.frame), 4], [x(view.frame), height - 4]);
}

function draw() {
  const frame = data.frames[view.frame];
  if (!frame) {
    at("now").textContent = "no frames";
    return;
  }
  drawSpace(frame);
  drawFlat(frame);
  drawPlot();
  at("line").value = view.frame;
  at("now").textContent = `${frame.time.toFixed(2)} s · frame ${frame.frame}`;
}

function go(n) {
  view.frame = Math.max(0, Math.min(data.frames.length - 1, n));
  draw();
}

function play(on) {
  view.playing = on && data.frames.length > 1;
  at("play").textContent = view.playing ? "Pause" : "Play";
  view.clock = performance.now();
  if (view.playing) requestAnimationFrame(tick);
}

// Frames are shown as long as they lasted; a gap, or the next film, waits a fifth of a second.
function tick(now) {
  if (view.playing) {
    const pace = 1000 / Number(at("speed").value);
    for (;;) {
      const next = (view.frame + 1) % data.frames.length;
      const wait = data.frames[next].time - data.frames[view.frame].time;
      const lasts = pace * (wait > 0 && wait < 0.2 ? wait : 0.2);
      if (now - view.clock < lasts) break;
      view.clock += lasts;
      view.frame = next;
    }
  }
  if (at("spin").checked) view.turn += 0.01;
  draw();
  if (view.playing || at("spin").checked) requestAnimationFrame(tick);
}

const KEYS = {
  " ": () => play(!view.playing),
  ArrowLeft: () => go(view.frame - 1),
  ArrowRight: () => go(view.frame + 1),
  Home: () => go(0),
  End: () => go(data.frames.length - 1),
};

function listen() {
  addEventListener("keydown", (event) => {
    const field = event.target.matches("select, button, input[type=checkbox]");
    if (event.altKey && event.key.startsWith("Arrow")) {
      view.turn += { ArrowLeft: 0.1, ArrowRight: -0.1 }[event.key] || 0;
      view.tilt += { ArrowUp: 0.1, ArrowDown: -0.1 }[event.key] || 0;
      draw();
    } else if (!field && KEYS[event.key]) KEYS[event.key]();
    else return;
    event.preventDefault();
  });
  at("space").addEventListener("pointerdown", (event) => event.target.setPointerCapture(event.pointerId));
  at("space").addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    view.turn -= event.movementX / 150;
    view.tilt = Math.max(-1.5, Math.min(1.5, view.tilt + event.movementY / 150));
    draw();
  });
  at("space").addEventListener("wheel", (event) => {
    event.preventDefault();
    view.zoom = Math.max(0.2, Math.min(8, view.zoom * Math.exp(-event.deltaY / 700)));
    draw();
  }, { passive: false });
  at("plot").addEventListener("click", (event) => {
    go(Math.round((event.offsetX - 28) / (at("plot").clientWidth - 36) * (data.frames.length - 1)));
  });
  at("play").addEventListener("click", () => play(!view.playing));
  at("line").addEventListener("input", () => go(Number(at("line").value)));
  at("angle").addEventListener("change", draw);
  at("spin").addEventListener("change", () => view.playing || requestAnimationFrame(tick));
  addEventListener("resize", draw);
  dark.addEventListener("change", () => {
    for (const label of at("people").querySelectorAll("label")) label.style.color = colour(Number(label.dataset.id));
    draw();
  });
}

function controls() {
  at("line").max = Math.max(0, data.frames.length - 1);
  at("flat").hidden = !data.flat;
  for (const name of data.angles) at("angle").add(new Option(name.replaceAll("_", " "), name));
  at("angle").closest("section").hidden = !data.angles.length;
  for (const id of data.ids) {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => {
      view.shown[box.checked ? "add" : "delete"](id);
      draw();
    });
    label.append(box, ` ${id}`);
    label.dataset.id = id;
    label.style.color = colour(id);
    at("people").append(label);
  }
}

controls();
listen();
draw();
