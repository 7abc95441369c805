// People on a canvas: bright limbs with a dark outline, as everybody/draw.py draws them.

// Told apart with every common colour blindness, and on skin, grass and asphalt.
const SIDES = { left: "rgb(0,190,255)", right: "rgb(255,130,20)", centre: "rgb(245,240,225)" };
const DARK = "rgb(16,18,24)";
const FINE = 0.3; // the points of faces and hands, as part of other joints

/** A colour per number that stays: steps of the golden ratio around the circle of hues. */
export function hue(number, lightness = "64%") {
  return `hsl(${(((0.55 + number * 0.618033988749895) % 1) * 360).toFixed(1)} 100% ${lightness})`;
}

/** Which side a limb belongs to: centre where its ends disagree. */
function limbSide(skeleton, [a, b]) {
  const sides = new Set([skeleton.sides[a], skeleton.sides[b]].filter((side) => side !== "centre"));
  return sides.size === 1 ? [...sides][0] : "centre";
}

export const colourOf = (one, place) => hue(one.id ?? place);

/**
 * context draws in picture pixels, whose centres are whole numbers; look: {joints, boxes, ids,
 * colour: "side" | "person", least: score below which a joint is not drawn}; unit: picture pixels
 * per CSS pixel; chosen: the id or place that stands out.
 */
export function drawPeople(context, people, skeleton, look, unit, chosen = null) {
  people.forEach((one, place) => {
    const own = look.colour === "person" ? colourOf(one, place) : null;
    const selected = chosen !== null && chosen === (one.id ?? place);
    if (look.joints) drawSkeleton(context, one, skeleton, look, unit, own, selected);
    if (look.boxes || !skeleton.joints.length) drawBox(context, one.box, unit, own ?? SIDES.centre);
    if (look.ids && one.id !== null)
      drawLabel(context, String(one.id), one, unit, own ?? SIDES.centre);
  });
}

function limbWidth(one, unit) {
  const size = Math.max(one.box[2] - one.box[0], one.box[3] - one.box[1]);
  return Math.min(Math.max(size / 75, 1.5 * unit), 8 * unit);
}

function drawSkeleton(context, one, skeleton, look, unit, own, selected) {
  const width = limbWidth(one, unit) * (selected ? 1.35 : 1);
  const seen = (k) => one.keypoints[k][2] >= look.least;
  const fine = (k) =>
    skeleton.joints[k].startsWith("face_") || skeleton.joints[k].includes("_hand_");
  context.lineCap = "round";
  for (const outline of [true, false]) {
    for (const limb of skeleton.limbs) {
      if (!seen(limb[0]) || !seen(limb[1])) continue;
      const thin = fine(limb[0]) || fine(limb[1]) ? FINE : 1;
      context.strokeStyle = outline ? DARK : (own ?? SIDES[limbSide(skeleton, limb)]);
      context.lineWidth = width * thin + (outline ? 1.5 * unit : 0);
      context.beginPath();
      context.moveTo(...one.keypoints[limb[0]]);
      context.lineTo(...one.keypoints[limb[1]]);
      context.stroke();
    }
    one.keypoints.forEach(([x, y], k) => {
      if (!seen(k)) return;
      const radius = 0.8 * width * (fine(k) ? FINE : 1) + (outline ? 0.75 * unit : 0);
      context.fillStyle = outline ? DARK : (own ?? SIDES[skeleton.sides[k]]);
      disc(context, x, y, radius);
      if (outline) return;
      context.fillStyle = "rgba(255,255,255,.5)";
      disc(context, x, y, radius * 0.6);
    });
  }
}

function disc(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function drawBox(context, [x0, y0, x1, y1], unit, colour) {
  for (const [width, paint] of [
    [3.5 * unit, DARK],
    [1.5 * unit, colour],
  ]) {
    context.lineWidth = width;
    context.strokeStyle = paint;
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
}

function drawLabel(context, words, one, unit, colour) {
  const size = 14 * unit;
  context.font = `600 ${size}px system-ui, sans-serif`;
  const wide = context.measureText(words).width + 0.8 * size;
  const x = Math.max(one.box[0], 0);
  const y = Math.max(one.box[1] - 1.5 * size, 0);
  context.fillStyle = DARK;
  context.fillRect(x, y, wide, 1.4 * size);
  context.fillStyle = colour;
  context.fillText(words, x + 0.4 * size, y + 1.05 * size);
}

/** Where the joints of people were in the frames before: lines that fade. */
export function drawTrails(context, frames, at, joints, look, unit, seconds = 1) {
  const first = frames[at].time - seconds;
  const last = new Map();
  for (let n = at; n >= 0 && frames[n].time >= first; n--) {
    frames[n].people.forEach((one, place) => {
      if (one.id === null) return;
      const later = last.get(one.id);
      last.set(one.id, { one, n });
      if (!later || later.n !== n + 1) return;
      context.globalAlpha = Math.max(0, (frames[n].time - first) / seconds);
      context.strokeStyle = hue(one.id ?? place);
      context.lineWidth = 2 * unit;
      for (const k of joints) {
        if (one.keypoints[k][2] < look.least || later.one.keypoints[k][2] < look.least) continue;
        context.beginPath();
        context.moveTo(...one.keypoints[k]);
        context.lineTo(...later.one.keypoints[k]);
        context.stroke();
      }
    });
  }
  context.globalAlpha = 1;
}
