// Corrections of a run, as a list of small operations that are kept beside the results:
//
//   {op: "move", source, frame, person, joint, x, y}       person: the place in the frame's people
//   {op: "rename", source, id, to, from, until}            frames from..until; null: open
//
// Merging two ids is a rename to the other one; splitting is a rename from a frame on to a new id.

/** Frames with the operations applied; what they do not touch is shared with the frames given. */
export function edited(frames, edits) {
  const out = [...frames];
  const place = new Map(frames.map((frame, n) => [`${frame.source}\n${frame.index}`, n]));
  for (const edit of edits) applications[edit.op]?.(out, edit, place);
  return out;
}

const applications = {
  move(frames, { source, frame, person, joint, x, y }, place) {
    const n = place.get(`${source}\n${frame}`);
    const old = frames[n]?.people[person];
    if (!old) return;
    const keypoints = old.keypoints.with(joint, [x, y, 1]);
    frames[n] = { ...frames[n], people: frames[n].people.with(person, { ...old, keypoints }) };
  },

  rename(frames, { source, id, to, from, until }) {
    frames.forEach((frame, n) => {
      if (source !== null && frame.source !== source) return;
      if (frame.index < (from ?? -Infinity) || frame.index > (until ?? Infinity)) return;
      if (!frame.people.some((one) => one.id === id)) return;
      const people = frame.people.map((one) => (one.id === id ? { ...one, id: to } : one));
      frames[n] = { ...frame, people };
    });
  },
};

/** All ids of some frames, in order. */
export function idsOf(frames) {
  const ids = new Set(frames.flatMap((frame) => frame.people.map((one) => one.id)));
  ids.delete(null);
  return [...ids].sort((a, b) => a - b);
}

/** An id that nobody has. */
export const freshId = (frames) => Math.max(0, ...idsOf(frames)) + 1;

/** Whether two ids are ever in one frame, so that they cannot be one person. */
export function together(frames, a, b) {
  return frames.some((frame) => {
    const here = frame.people.map((one) => one.id);
    return here.includes(a) && here.includes(b);
  });
}
