// What went wrong, by a name that text.js puts into words.

export class Problem extends Error {
  constructor(code, detail = "") {
    super(`${code} ${detail}`.trim());
    Object.assign(this, { code, detail });
  }
}
