// Live frames by this browser. The server's way has the same calls (server.js).

import { PoseEngine } from "../pose/client.js";

export class HereLive {
  constructor() {
    this.engine = new PoseEngine();
  }

  open({ model }) {
    return this.engine.open({ variant: model });
  }

  people(image, time, { track, smooth }) {
    return track ? this.engine.follow(image, time, smooth) : this.engine.people(image);
  }

  close() {
    this.engine.close();
  }
}
