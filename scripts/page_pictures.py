#!/usr/bin/env python3
"""Makes the pictures of the page for docs/studio.md, from ../shared's class.mp4 in a real browser.

    python scripts/page_pictures.py docs/images

Needs Debian's Chromium, Playwright, and the engine (`npm ci --prefix web`). Each step says how long
it took: the networks take most of it, so a machine that has other work to do takes minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.studio import served
from everybody.web.site import site_files
from synthetic import browser as page

FRAMES = 24
PATIENCE = 600_000  # milliseconds for a job, also on a machine that has other work to do
DESK, TALL = {"width": 1100, "height": 760}, {"width": 1100, "height": 1340}


@contextmanager
def step(name: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)


@contextmanager
def tab(chromium: Any, **options: Any) -> Iterator[Any]:
    context = chromium.new_context(**options)
    yield context.new_page()
    context.close()


def begun(shown: Any, url: str, clip: Path, *, model: str, jobs: int) -> None:
    """Starts a job and waits until all jobs are done."""
    shown.goto(url)
    shown.select_option("fieldset select", model)
    shown.set_input_files("#files", clip)
    shown.wait_for_function(
        f"document.querySelectorAll('[data-state=done]').length === {jobs}", timeout=PATIENCE
    )


def opened(shown: Any) -> None:
    """The first job, at a frame in the middle, with a person chosen."""
    shown.locator("text=Open").first.click()
    shown.wait_for_selector(".transport")
    for _ in range(FRAMES // 2):
        shown.keyboard.press(".")
    shown.locator(".row button").nth(1).click()
    shown.wait_for_timeout(800)


def made(shown: Any, url: str, clip: Path, folder: Path) -> None:
    """What a server makes of a job: a character in space, a film with things."""
    with step("a job of the server"):
        shown.goto(url)
        shown.set_input_files("#files", clip)
        shown.wait_for_selector("[data-state=done]", timeout=PATIENCE)
    opened(shown)
    for name in ("Glasses", "Hat"):
        shown.get_by_label(name, exact=True).check()
    with step("animation"):
        shown.get_by_role("button", name="Animate", exact=True).click()
        shown.get_by_text("a foot stands in").wait_for(timeout=PATIENCE)
    with step("augmented reality"):
        shown.get_by_role("button", name="Draw", exact=True).click()
        film = shown.get_by_label("The film with things drawn into it")
        film.wait_for(timeout=PATIENCE)
    film.evaluate("film => (film.currentTime = 0.8)")
    film.scroll_into_view_if_needed()
    shown.wait_for_timeout(2000)
    shown.get_by_role("heading", name="Animation").evaluate("heading => heading.scrollIntoView()")
    shown.wait_for_timeout(500)
    seen(shown, folder / "studio-made.jpg")


def seen(shown: Any, path: Path, **options: Any) -> None:
    shown.screenshot(path=path, quality=80, **options)


def alone(shown: Any, url: str, clip: Path, folder: Path) -> None:
    """The views of the page without a server, at a desk; the player on a phone, too."""
    with step("a job with the model fast"):
        begun(shown, url, clip, model="fast", jobs=1)
    with step("a job with the model accurate"):
        begun(shown, url, clip, model="accurate", jobs=2)
    seen(shown, folder / "studio-jobs.jpg")
    opened(shown)
    seen(shown, folder / "studio-player.jpg", full_page=True)

    shown.set_viewport_size({"width": 380, "height": 800})
    shown.emulate_media(color_scheme="dark")
    shown.evaluate("scrollTo(0, 0)")
    shown.wait_for_timeout(800)
    seen(shown, folder / "studio-phone.jpg")
    shown.emulate_media(color_scheme="light")
    shown.set_viewport_size(DESK)

    shown.goto(url + "#/compare")
    shown.wait_for_selector(".pair")
    shown.wait_for_timeout(800)
    seen(shown, folder / "studio-compare.jpg")
    with step("the camera"):
        shown.goto(url + "#/live")
        shown.click("text=Start the camera")
        shown.wait_for_selector("canvas[aria-label^='5 people drawn']", timeout=PATIENCE)
        shown.wait_for_timeout(3000)
        seen(shown, folder / "studio-live.jpg")


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        clip = page.shot(Path(place) / "class.mp4", FRAMES)
        film = page.shot(Path(place) / "class.mjpeg", FRAMES)
        flags = [*page.camera(film), "--use-fake-ui-for-media-stream"]
        with page.served(site_files(server=False)) as url, page.browser(*flags) as chromium:
            with tab(chromium, viewport=DESK) as shown:
                alone(shown, url, clip, folder)
            kept = Path(place) / "served"
            kept.mkdir()
            with served(kept) as (client, _), tab(chromium, viewport=TALL) as shown:
                made(shown, str(client.base_url), clip, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
