// Networks by onnxruntime-web: WebGPU where the browser has it, else WebAssembly, on several
// threads where the page is isolated.

import { Problem } from "./problem.js";

// A module of one SIMD instruction: validates only where the browser knows them.
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
]);
const MOST_THREADS = 4; // and at most every other core: the page and the video need some, too

export async function openEngine(base, { gpu = "auto", threads = 0 } = {}) {
  const known = typeof WebAssembly !== "undefined" && WebAssembly.validate(SIMD);
  if (!known) throw new Problem("noSimd");
  const onGpu = gpu !== "off" && (await hasGpu());
  const file = onGpu ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs";
  let ort;
  try {
    ort = await import(new URL(`engine/${file}`, base));
  } catch {
    throw new Problem("noEngine");
  }
  const many = self.crossOriginIsolated ? navigator.hardwareConcurrency >> 1 : 1;
  ort.env.wasm.wasmPaths = new URL("engine/", base).href;
  ort.env.wasm.numThreads = threads || Math.min(Math.max(many, 1), MOST_THREADS);
  ort.env.logLevel = "error";
  return { ort, provider: onGpu ? "webgpu" : "wasm", threads: ort.env.wasm.numThreads };
}

async function hasGpu() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    return Boolean(adapter && !(adapter.isFallbackAdapter ?? adapter.info?.isFallbackAdapter));
  } catch {
    return false;
  }
}

/** A loaded network of one input: run(array, dims) -> {output name: {data, dims}}. */
export class Session {
  static async open({ ort, provider }, base, name) {
    const answer = await fetch(new URL(`models/${name}.onnx`, base));
    if (!answer.ok) throw new Problem("noModel", name);
    const file = new Uint8Array(await answer.arrayBuffer());
    const session = await ort.InferenceSession.create(file, {
      executionProviders: [...new Set([provider, "wasm"])],
      logSeverityLevel: 3, // errors
    });
    return new Session(ort, session);
  }

  constructor(ort, session) {
    Object.assign(this, { ort, session });
  }

  async run(array, dims) {
    const tensor = new this.ort.Tensor("float32", array, dims);
    return this.session.run({ [this.session.inputNames[0]]: tensor });
  }
}
