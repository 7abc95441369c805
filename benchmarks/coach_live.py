"""From the camera to what the coach says of it, in a real browser, worked out by the server.

    python -m benchmarks.coach_live [--seconds 15] [--exercise squat]

The camera of headless Chromium shows class.mp4, with all but one person painted over and with all
five. `grabbed` counts from when the page takes the camera's newest frame, `captured` from when the
camera had it, to when the page has written what the coach says of it; the goal is 150 ms. Browser,
server and networks share this machine. Needs Chromium.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import head, parsed, parser, row
from benchmarks.page import one_person
from benchmarks.studio import served
from synthetic import browser

GOAL = 150.0  # ms
# Notes when a frame is taken from the camera, when it was captured, and when the count is written.
WATCH = """
    window.late = {grabbed: [], captured: []};
    let grabbed = 0, captured = 0, shown = 0;
    const taken = window.createImageBitmap;
    window.createImageBitmap = (source, ...more) => {
        if (source instanceof HTMLVideoElement) [grabbed, captured] = [performance.now(), shown];
        return taken(source, ...more);
    };
    const play = HTMLVideoElement.prototype.play;
    HTMLVideoElement.prototype.play = function () {
        const next = (now, {captureTime}) => {
            shown = captureTime;
            this.requestVideoFrameCallback(next);
        };
        this.requestVideoFrameCallback(next);
        return play.call(this);
    };
    // At once, not by an observer: the page takes its next frame before one would hear of it.
    window.watchCount = () => {
        const {set, get} = Object.getOwnPropertyDescriptor(Node.prototype, 'textContent');
        Object.defineProperty(document.querySelector('.count'), 'textContent', {
            get,
            set(words) {
                set.call(this, words);
                const now = performance.now();
                late.grabbed.push(now - grabbed);
                if (captured) late.captured.push(now - captured);
            },
        });
    };
"""


def latencies(film: Path, exercise: str, seconds: float) -> dict[str, list[float]]:
    """ "grabbed" and "captured": milliseconds, one for each frame that the coach has answered."""
    flags = [*browser.camera(film), "--use-fake-ui-for-media-stream"]
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as (client, _),
        browser.browser(*flags) as chromium,
    ):
        tab = chromium.new_page(viewport={"width": 1000, "height": 800})
        tab.add_init_script(WATCH)
        tab.goto(f"{client.base_url}#/live")
        tab.get_by_label("Exercise").wait_for(state="attached")
        if tab.get_by_label("Where the work is done").count():
            tab.get_by_label("Where the work is done").select_option("server")
        tab.get_by_label("Exercise").select_option(exercise)
        tab.click("text=Start the camera")
        tab.wait_for_selector(".count:not(:empty)", timeout=120_000)
        tab.wait_for_timeout(2000)  # the first frames load what is needed
        tab.evaluate("watchCount()")
        tab.wait_for_timeout(1000 * seconds)
        return tab.evaluate("late")


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--seconds", type=float, default=15)
    command.add_argument("--exercise", default="squat")
    given = parsed(command)
    print(head("people", "from", "frames", "median", "95 %", f"within {GOAL:.0f} ms", "load"))
    with tempfile.TemporaryDirectory() as place:
        films = {
            1: one_person(Path(place) / "one.mjpeg"),
            5: browser.shot(Path(place) / "class.mjpeg", 100),
        }
        for people, film in films.items():
            found = latencies(film, given.exercise, given.seconds)
            for name, late in found.items():
                values = np.array(late)
                middle, high = np.percentile(values, [50, 95])
                within = f"{100 * (values <= GOAL).mean():.0f} %"
                cells = len(values), f"{middle:.0f} ms", f"{high:.0f} ms", within
                print(row(people, name, *cells, f"{os.getloadavg()[0]:.1f}"), flush=True)


if __name__ == "__main__":
    main()
