// Files -> frames, one after the other, as the browser decodes them.

import { Problem } from "../pose/problem.js";

const RATE = 25; // frames a second, where a video does not tell
const MOMENT = 5; // milliseconds
const PATIENCE = 20; // moments that a frame is waited for; then the film has none at this time
const PLAIN = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

export const isVideo = (file) =>
  file.type.startsWith("video/") ||
  /\.(mp4|m4v|mov|webm|mkv|avi|mpe?g|m?ts|wmv|flv|3gp|ogv|mjpe?g)$/i.test(file.name);
export const isPicture = (file) =>
  file.type.startsWith("image/") ||
  /\.(jpe?g|png|webp|bmp|gif|avif|hei[cf]|tiff?)$/i.test(file.name);

/** A picture's pixels, upright. Raises Problem. */
export async function bitmap(file) {
  try {
    return await createImageBitmap(file, PLAIN);
  } catch {
    throw new Problem("unreadable", file.name);
  }
}

/** A video that is ready to be asked for frames. Raises Problem. */
export async function openVideo(file) {
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  video.src = URL.createObjectURL(file);
  try {
    await happens(video, "loadeddata");
  } catch {
    throw new Problem("unplayable", file.name);
  }
  const rate = await frameRate(video);
  return { video, rate, count: Math.max(1, Math.floor(video.duration * rate + 1e-3)) };
}

/** The pixels of one frame. */
export async function frameOf({ video, rate }, n) {
  const seeked = happens(video, "seeked");
  video.currentTime = Math.min((n + 0.5) / rate, video.duration);
  await seeked;
  for (let turn = 0; turn < PATIENCE && isBefore(video, 1 / rate); turn++) await aMoment();
  return createImageBitmap(video, PLAIN);
}

/** Whether the frame before is still the one that is given: "seeked" can come that early. */
function isBefore(video, step) {
  if (!globalThis.VideoFrame) return false;
  const frame = new VideoFrame(video);
  const time = frame.timestamp / 1e6;
  frame.close();
  return Math.abs(video.currentTime - time) > step;
}

const aMoment = () => new Promise((resolve) => setTimeout(resolve, MOMENT));

export const closeVideo = ({ video }) => URL.revokeObjectURL(video.src);

function happens(video, name) {
  return new Promise((resolve, reject) => {
    video.addEventListener(name, resolve, { once: true });
    video.addEventListener("error", () => reject(video.error), { once: true });
  });
}

/** From the times of the first frames, as they are shown. */
async function frameRate(video) {
  if (!video.requestVideoFrameCallback) return RATE;
  const shown = [];
  const next = () =>
    new Promise((resolve) => video.requestVideoFrameCallback((_, said) => resolve(said)));
  const enough = new Promise((resolve) => setTimeout(resolve, 1500));
  await video.play();
  while (shown.length < 12) {
    const said = await Promise.race([next(), enough]);
    if (!said) break;
    shown.push(said);
  }
  video.pause();
  const steps = shown.slice(1).flatMap((said, n) => {
    const frames = said.presentedFrames - shown[n].presentedFrames;
    return frames === 1 ? [said.mediaTime - shown[n].mediaTime] : [];
  });
  if (steps.length < 3) return RATE;
  steps.sort((a, b) => a - b);
  const rate = 1 / steps[steps.length >> 1];
  const usual = [24000 / 1001, 24, 25, 30000 / 1001, 30, 50, 60000 / 1001, 60];
  return (
    usual.find((one) => Math.abs(one - rate) < 0.02 * rate && Math.abs(one - rate) < 0.4) ?? rate
  );
}

/** All files of what was dropped, those in folders, too. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(filesOf))).flat();
}
