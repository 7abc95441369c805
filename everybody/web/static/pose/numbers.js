// Small numeric helpers that follow numpy where it matters.

/** Rounds halves to the even neighbour, as Python and numpy do. */
export function roundEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The place of the greatest value; the first of equals. */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
