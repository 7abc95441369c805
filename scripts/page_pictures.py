#!/usr/bin/env python3
"""Makes the pictures of the page for docs/studio.md, from ../shared's class.mp4 in a real browser.

    python scripts/page_pictures.py docs/images

Needs Debian's Chromium, Playwright, and the engine (`npm ci --prefix web`).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.studio import served
from everybody.web.site import site_files
from synthetic import browser as page

FRAMES = 40


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
        f"document.querySelectorAll('[data-state=done]').length === {jobs}", timeout=300_000
    )


def opened(shown: Any) -> None:
    """The first job, at a frame in the middle, with a person chosen."""
    shown.locator("text=Open").first.click()
    shown.wait_for_selector(".transport")
    for _ in range(20):
        shown.keyboard.press(".")
    shown.locator(".row button").nth(1).click()
    shown.wait_for_timeout(800)


def made(shown: Any, url: str, clip: Path, folder: Path) -> None:
    """What a server makes of a job: a character in space, a film with things."""
    shown.goto(url)
    shown.set_input_files("#files", clip)
    shown.wait_for_selector("[data-state=done]", timeout=300_000)
    opened(shown)
    for name in ("Glasses", "Hat"):
        shown.get_by_label(name, exact=True).check()
    shown.get_by_role("button", name="Animate", exact=True).click()
    shown.get_by_text("a foot stands in").wait_for(timeout=300_000)
    shown.get_by_role("button", name="Draw", exact=True).click()
    film = shown.get_by_label("The film with things drawn into it")
    film.wait_for(timeout=300_000)
    film.evaluate("film => (film.currentTime = 0.8)")
    film.scroll_into_view_if_needed()
    shown.wait_for_timeout(2000)
    shown.get_by_role("heading", name="Animation").evaluate("heading => heading.scrollIntoView()")
    shown.wait_for_timeout(500)
    shown.screenshot(path=folder / "studio-made.jpg", quality=80)


def main(folder: Path) -> None:
    options: dict[str, Any] = {"viewport": {"width": 1100, "height": 760}}
    with tempfile.TemporaryDirectory() as place:
        clip = page.shot(Path(place) / "class.mp4", FRAMES)
        film = page.shot(Path(place) / "class.mjpeg", FRAMES)
        flags = [*page.camera(film), "--use-fake-ui-for-media-stream"]
        with page.served(site_files(server=False)) as url, page.browser(*flags) as chromium:
            with tab(chromium, **options) as shown:
                begun(shown, url, clip, model="fast", jobs=1)
                begun(shown, url, clip, model="accurate", jobs=2)
                shown.screenshot(path=folder / "studio-jobs.jpg", quality=80)
                opened(shown)
                shown.screenshot(path=folder / "studio-player.jpg", quality=80, full_page=True)
                shown.goto(url + "#/compare")
                shown.wait_for_selector(".pair")
                shown.wait_for_timeout(800)
                shown.screenshot(path=folder / "studio-compare.jpg", quality=80)
                shown.goto(url + "#/live")
                shown.click("text=Start the camera")
                shown.wait_for_selector("canvas[aria-label^='5 people drawn']", timeout=60_000)
                shown.wait_for_timeout(3000)
                shown.screenshot(path=folder / "studio-live.jpg", quality=80)
            kept = Path(place) / "served"
            kept.mkdir()
            tall = {"viewport": {"width": 1100, "height": 1250}}
            with served(kept) as (client, _), tab(chromium, **tall) as shown:
                made(shown, str(client.base_url), clip, folder)
            phone = {"viewport": {"width": 380, "height": 800}, "color_scheme": "dark"}
            with tab(chromium, **phone) as shown:
                begun(shown, url, clip, model="fast", jobs=1)
                opened(shown)
                shown.screenshot(path=folder / "studio-phone.jpg", quality=80)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
