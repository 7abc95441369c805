// Every word that the page says.

const plural = (count, one, many) => (count === 1 ? `1 ${one}` : `${count} ${many}`);

const repetitions = (count) => plural(count, "repetition", "repetitions");

export const text = {
  title: "everybody studio",
  nav: { name: "Views", home: "Jobs", live: "Live camera", compare: "Compare" },
  where: {
    server: "The server of this page does the work.",
    alone: "This browser does the work. Nothing leaves this machine.",
    noEngine:
      "The engine for work in the browser is not installed with this server " +
      "(pip install everybody-studio). The server does the work.",
  },

  home: {
    heading: "Find every body",
    drop: "Drop pictures, videos or folders here",
    or: "or",
    files: "Choose files",
    folder: "Choose a folder",
    options: "Options",
    model: "Model",
    models: { fast: "fast", accurate: "accurate" },
    place: "Where the work is done",
    places: { server: "on the server", alone: "in this browser" },
    track: "Follow people in videos (ids)",
    smooth: "Steady the joints",
    lift: "People in space (3D)",
    fov: "Camera's view in degrees",
    height: "People's height in metres",
    unknown: "unknown",
    jobs: "Jobs",
    none: "No jobs yet.",
    open: "Open",
    cancel: "Cancel",
    resume: "Resume",
    remove: "Delete",
    sure: (name) => `Delete the job “${name}” and its results?`,
    progress: (done, total) =>
      total ? `${done} of ${plural(total, "frame", "frames")}` : plural(done, "frame", "frames"),
    newest: (name) => `The newest frame of ${name}`,
    uploading: (part) => `Uploading, ${Math.round(part * 100)} %`,
    state: {
      uploading: "uploading",
      waiting: "waiting",
      running: "running",
      done: "done",
      failed: "failed",
      cancelled: "cancelled",
      interrupted: "interrupted",
    },
    nothing: "There is no picture or video among these files.",
    alone:
      "This page has no server. It finds and follows people in pictures, videos and the camera; " +
      "you can correct, compare and download what it finds. The coach, people in space, animation, " +
      "augmented reality, and films that a browser cannot play need a server: everybody studio on " +
      "your machine.",
  },

  folder: {
    heading: (name) => `Files on the server, in ${name}`,
    start: "Start with these",
    open: (name) => `Open ${name}`,
    up: "One folder up",
    empty: "Nothing here.",
  },

  stage: {
    canvas: "People drawn over the picture",
    people: (count) => `${plural(count, "person", "people")} drawn over the picture`,
    picture: "The picture of this frame",
  },
  transport: {
    name: "Playing",
    play: "Play",
    pause: "Pause",
    back: "One frame back",
    forward: "One frame forward",
    position: "Frame",
    place: (n, count, time) => `${n} / ${count} · ${time.toFixed(2)} s`,
    named: (n, count, name) => `${n} / ${count} · ${name}`,
  },
  look: {
    name: "What is drawn",
    joints: "Joints",
    boxes: "Boxes",
    ids: "Ids",
    trails: "Trails",
    colour: "Colours",
    colours: { side: "by side", person: "by person" },
    least: "Least score",
  },
  timeline: {
    name: "Who is seen when",
    nobody: "Nobody has an id. Follow people to see them here.",
    person: (id) => `Person ${id}`,
    frames: (count) => `, ${plural(count, "frame", "frames")}`,
  },
  plot: {
    heading: "Plots",
    quantity: "Quantity",
    label: (name) => name.replaceAll("_", " "),
    chart: (name, ids) =>
      `${name.replaceAll("_", " ")} over time, of ${ids.join(", ") || "nobody"}`,
    nothing: "nothing to plot",
    value: (id, value, unit) => `${id}: ${value.toFixed(0)}${unit === "°" ? "°" : ` ${unit}`}`,
  },
  space: {
    heading: "In space",
    name: "People in space",
    help: "Drag or use the arrow keys to turn, the wheel or + and − to come nearer.",
  },
  coach: {
    heading: "Coach",
    exercise: "Exercise",
    recognise: "find out which",
    person: "Who",
    largest: "whoever is largest",
    start: "Count",
    counting: "Counting…",
    unknown: "No exercise was recognised.",
    found: (title, count, held) =>
      held ? `${title}: ${count.toFixed(1)} seconds` : `${title}: ${repetitions(count)}`,
    table: "Repetitions",
    columns: {
      number: "No.",
      turn: "Turn",
      seconds: "Seconds",
      reach: "Reach",
      left: "Left",
      right: "Right",
      say: "Better",
    },
    go: "Go to the turn, at ",
    time: (time) => `${time.toFixed(2)} s`,
    unit: (unit) => (unit === "degrees" ? "degrees" : `lengths of the person's ${unit}`),
    measured: (unit) => `Reach, left and right are in ${unit}.`,
    none: "no coach",
    server: "The coach counts on the server: choose it above.",
    noServer: "The coach counts on a server only: start everybody studio on your machine.",
    count: (count, held) => (held ? `${count.toFixed(1)} s` : String(count)),
  },

  animation: {
    heading: "Animation",
    person: "Whose motion",
    longest: "whoever is there longest",
    character: "Character",
    characters: {
      vrm: "stick figure, VRM's bones",
      mixamo: "stick figure, Mixamo's bones",
      cmu: "stick figure, CMU's bones",
      biovision: "stick figure, Biovision's bones",
    },
    own: "a file of your own",
    file: "Its file",
    kinds: ".glb,.vrm,.bvh",
    noFile: "Choose a character: a .glb, .vrm or .bvh.",
    start: "Animate",
    making: "Lifting and fitting. The first time takes a while…",
    found: (id, standing, [, slid]) =>
      `Person ${id}: a foot stands in ${Math.round(100 * standing)} % of the frames, ` +
      `and slides by ${Math.round(1000 * slid)} mm at most.`,
    download: (format) => `The animated character, .${format}`,
  },
  worn: {
    heading: "Augmented reality",
    wear: "What people wear",
    things: { glasses: "Glasses", hat: "Hat", jersey: "Jersey", sword: "Sword" },
    target: "A picture on something flat",
    targetHelp:
      "Photograph a page, poster or panel of the film from straight above, without anything around it.",
    targetFile: "Photo of the flat thing",
    showFile: "Picture to lay on it",
    width: "Its width in centimetres",
    noTarget: "Choose a photo of the flat thing, too.",
    noShow: "Choose the picture to lay on it, too.",
    start: "Draw",
    making: "Drawing. The first time takes a while…",
    done: "Done.",
    film: "The film with things drawn into it",
    picture: "The picture with things drawn into it",
    download: "Download",
  },

  edits: {
    heading: "Corrections",
    person: "Who",
    nobody: "nobody is chosen",
    unnamed: (place) => `No. ${place} in this picture`,
    undo: "Undo",
    count: (count) => (count ? plural(count, "correction", "corrections") : "no corrections"),
    rename: "New id",
    apply: "Rename",
    merge: "Is the same person as",
    mergeDo: "Merge",
    split: "Somebody else from this frame on",
    apart: (a, b) => `Persons ${a} and ${b} are in one frame together: they are two people.`,
    joint: "Joint",
    moveHelp:
      "Drag a joint in the picture; or choose it here and move it with the arrow keys (with Shift by 10 pixels).",
    moveKeys: "Move with the arrow keys",
    noUse: "Ids are whole numbers above 0.",
    saved: "Saved.",
    undone: "Undone.",
  },
  downloads: {
    heading: "Downloads",
    journal: "People, frame by frame",
    edits: "Corrections",
    drawn: (name) => `${name} with skeletons`,
  },

  made: ({ options, created }) => `${options.model} · ${new Date(created).toLocaleString()}`,

  run: {
    back: "All jobs",
    film: "Source",
    pictures: "Pictures",
    loading: "Loading…",
    alone: (server) =>
      "The coach, people in space, animation and augmented reality are the server's work. " +
      (server
        ? "For these, start the job again on the server."
        : "For these, start everybody studio on your machine, and drop the file there."),
  },
  compare: {
    heading: "Compare two runs",
    left: "Left",
    right: "Right",
    few: "Two finished jobs are needed.",
    apart: (pixels) =>
      `Joints of the same people lie ${pixels.toFixed(1)} pixels apart on average.`,
    none: "Nobody is in both frames.",
    different: "These runs are of different files: compare two of the same one.",
  },

  live: {
    heading: "Live camera",
    start: "Start the camera",
    stop: "Stop the camera",
    smooth: "Steady the joints",
    track: "Follow people (ids)",
    model: "Model",
    place: "Where the work is done",
    rate: (perSecond, late) =>
      `${perSecond.toFixed(1)} frames a second, ${Math.round(late)} ms behind`,
    by: (provider, threads) =>
      provider === "webgpu" ? "WebGPU" : `WebAssembly, ${plural(threads, "thread", "threads")}`,
    starting: "Starting…",
    stopped: "Stopped.",
    waiting: "The camera is off.",
  },

  problem: {
    noSimd:
      "This browser has no WebAssembly SIMD, which the networks need. Use a newer browser, or a server.",
    noEngine: "The engine (onnxruntime-web) could not be loaded: pip install everybody-studio.",
    noModel: (name) => `The network ${name} could not be loaded: is the site complete?`,
    noCamera: "No camera was found. Connect one and try again.",
    refused: "The camera was refused. Allow it in the settings of this page, and try again.",
    insecure: "A camera needs https or localhost. Start the studio with --certificate and --key.",
    busy: "The camera is used by another program.",
    unplayable: (name) => `${name}: this browser cannot play it. The server can read more formats.`,
    unreadable: (name) => `${name}: not a picture that this browser can read.`,
    missing: (detail) => detail,
    gone: "This job is not here any more.",
    server: (detail) => `The server says: ${detail}`,
    lost: "The server cannot be reached.",
    failed: (detail) => `Something went wrong: ${detail}`,
  },
};

/** A problem in words. */
export function explain(error) {
  const words = text.problem[error?.code];
  if (typeof words === "string") return words;
  return words ? words(error.detail) : text.problem.failed(error?.message ?? String(error));
}
