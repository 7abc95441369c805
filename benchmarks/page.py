"""The page in a real browser, without a server: frames a second, and poses beside the library's.

    python -m benchmarks.page [--seconds 20] [--pictures 10]

Live: the camera of headless Chromium shows class.mp4 with all but one person painted over; the rate
is counted by the page from the first frame with a person, WebAssembly on one thread. Poses: the
pictures of coco_val, as they are and as JPEG of quality 90, decoded by the browser and estimated
there; the share of joints that score at least .3 in the library and lie within half a pixel of
them. Needs Chromium, and the engine (`npm ci --prefix web`).
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from benchmarks.common import COCO_VAL, VIDEO, head, parsed, parser, row
from everybody import Estimator, Frame
from everybody.web.site import VARIANTS, site_files
from synthetic import browser

ONE = slice(480, 780)  # columns of class.mp4 in which one person stands
OPEN = """async variant => {
    const {PoseEngine} = await import('/pose/client.js');
    window.engine = new PoseEngine(location.href);
    return engine.open({variant, threads: 1});
}"""
PEOPLE = """async name => {
    const {bitmap} = await import('/work/media.js');
    return (await engine.people(await bitmap(await (await fetch(name)).blob()))).people;
}"""


def one_person(to: Path, frames: int = 100) -> Path:
    """A film in which everybody but one person is painted over."""
    with av.open(str(VIDEO / "class.mp4")) as source, av.open(str(to), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuvj420p"
        for number, frame in enumerate(source.decode(video=0)):
            if number == frames:
                break
            shown = np.full((frame.height, frame.width, 3), 120, np.uint8)
            shown[:, ONE] = frame.to_ndarray(format="rgb24")[:, ONE]
            made = av.VideoFrame.from_ndarray(shown, format="rgb24")
            out.mux(stream.encode(made.reformat(640, 360, "yuvj420p")))
        out.mux(stream.encode())
    return to


def live(variant: str, seconds: int) -> list[str]:
    """What the page says of its rate, at three moments."""
    with tempfile.TemporaryDirectory() as place:
        flags = browser.camera(one_person(Path(place) / "one.mjpeg"))
        with (
            browser.served(site_files(server=False)) as url,
            browser.browser(*flags, "--use-fake-ui-for-media-stream") as chromium,
        ):
            tab = chromium.new_page(viewport={"width": 1000, "height": 800})
            tab.goto(url + "#/live")
            tab.select_option("select", variant)
            tab.click("text=Start the camera")
            tab.wait_for_selector("canvas[aria-label^='1 person drawn']", timeout=120_000)
            said = []
            for _ in range(3):
                tab.wait_for_timeout(1000 * seconds / 3)
                said.append(tab.inner_text("#rate"))
            return said


def within(variant: str, pictures: list[Path], kind: str) -> tuple[int, int]:
    """Joints of the library, and how many of them the browser puts within half a pixel."""
    library = Estimator(model=variant, threads=1)
    shown = {f"pictures/{n}": encoded(path, kind) for n, path in enumerate(pictures)}
    near = total = 0
    with (
        browser.served({**site_files(server=False), **shown}) as url,
        browser.browser() as chromium,
    ):
        tab = chromium.new_page()
        tab.goto(url)
        tab.evaluate(OPEN, variant)
        for name, file in shown.items():
            pixels = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
            (frame,) = library([Frame(pixels)])
            theirs = [np.array(one["keypoints"]) for one in tab.evaluate(PEOPLE, name)]
            for keypoints in frame.people.keypoints:
                sure = keypoints[:, 2] >= 0.3
                total += int(sure.sum())
                near += nearest(keypoints[sure], [one[sure] for one in theirs])
    return total, near


def nearest(keypoints: Any, others: list[Any]) -> int:
    """Joints within half a pixel of those of the person most like this one."""
    counts = [(np.abs(one[:, :2] - keypoints[:, :2]).max(1) <= 0.5).sum() for one in others]
    return int(max(counts, default=0))


def encoded(path: Path, kind: str) -> bytes:
    if kind != "jpeg":
        return path.read_bytes()
    out = io.BytesIO()
    Image.open(path).convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--seconds", type=int, default=20)
    command.add_argument("--pictures", type=int, default=10)
    given = parsed(command)
    pictures = sorted((COCO_VAL / "images").iterdir())[: given.pictures]

    print(head("model", "live, one person", "load"))
    for variant in VARIANTS:
        for said in live(variant, given.seconds):
            print(row(variant, said, f"{os.getloadavg()[0]:.1f}"))
    print()
    print(head("model", "pictures", "joints", "within .5 px"))
    for variant in VARIANTS:
        for kind in ("as they are", "jpeg"):
            total, near = within(variant, pictures, kind)
            print(row(variant, kind, total, f"{near / total:.4f}"))


if __name__ == "__main__":
    main()
