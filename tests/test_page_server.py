"""The page and its server together, in a real browser: from an upload to what is downloaded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from everybody.results.journal import write_journal
from everybody.web import site
from synthetic import browser as page

from .test_page import AXE, violations
from .test_studio_coach import squats

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not page.CHROMIUM.exists(), reason="needs Debian's Chromium"),
    pytest.mark.skipif(not page.SHARED.is_dir(), reason="needs ../shared"),
]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[str]:
    """The address of a server of an empty folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    command = [sys.executable, "-m", "everybody", "studio", str(folder), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(page.ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr
        for line in server.stderr:
            if found := re.search(r"http://\S+", line):
                break
        else:
            pytest.fail("the server does not start")
        yield found[0]
        server.terminate()


def opened(tab: Any, studio: str, clip: Path, frames: int) -> None:
    """Uploads a film, watches its progress, and opens its player."""
    tab.goto(studio)
    tab.set_input_files("#files", clip)
    tab.wait_for_selector("progress:visible", timeout=60_000)
    tab.get_by_text(f"done · {frames} of {frames} frames").wait_for(timeout=180_000)
    tab.click(".job >> text=Open")
    tab.wait_for_selector(".transport")


def first_line(tab: Any) -> dict[str, Any]:
    """The first frame of what the page gives to download as jsonl."""
    with tab.expect_download() as download:
        tab.get_by_role("link", name="jsonl", exact=True).click()
    return json.loads(Path(download.value.path()).read_text().splitlines()[0])


def test_from_an_upload_to_a_corrected_export(studio, tmp_path):
    """Upload, progress, player, drag a joint, export, reload: the correction is in all of it."""
    clip = page.shot(tmp_path / "clip.mp4", 30)
    with page.browser() as chromium:
        tab = chromium.new_context(accept_downloads=True).new_page()
        opened(tab, studio, clip, 30)
        before = first_line(tab)
        person = max(before["people"], key=lambda one: one["score"])
        joint = int(np.argmax([score for _, _, score in person["keypoints"]]))
        x, y, _ = person["keypoints"][joint]
        moved = drag(tab, (x, y), (30, 12), before["width"])
        tab.get_by_text("1 correction", exact=True).wait_for()

        (same,) = [one for one in first_line(tab)["people"] if one["id"] == person["id"]]
        assert np.abs(np.subtract(same["keypoints"][joint][:2], moved)).max() < 1.5
        with tab.expect_download() as download:
            tab.get_by_role("link", name="coco", exact=True).click()
        coco = json.loads(Path(download.value.path()).read_text())
        rows = np.array([one["keypoints"] for one in coco]).reshape(len(coco), -1, 3)
        assert np.abs(rows[:, joint, :2] - moved).max(1).min() < 2

        tab.reload()
        tab.get_by_text("1 correction", exact=True).wait_for()
        tab.click("text=Undo")
        tab.get_by_text("no corrections").wait_for()
        assert first_line(tab) == before


def readable(tab: Any) -> None:
    """No violation of accessibility, and nothing wider than the window: at a desk, on a phone."""
    for width in (1280, 360):
        tab.set_viewport_size({"width": width, "height": 800})
        if AXE.is_file():
            assert violations(tab) == [], width
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def drag(tab: Any, at: tuple[float, float], by: tuple[int, int], width: int) -> list[float]:
    """Drags what lies at a place of the picture; returns where it is then."""
    tab.locator(".over[aria-label*='drawn over']").wait_for()
    box = tab.locator(".over").bounding_box()
    scale = box["width"] / width
    start = [box["x"] + (at[0] + 0.5) * scale, box["y"] + (at[1] + 0.5) * scale]
    tab.mouse.move(*start)
    tab.mouse.down()
    tab.mouse.move(start[0] + by[0], start[1] + by[1], steps=4)
    tab.mouse.up()
    return [at[0] + by[0] / scale, at[1] + by[1] / scale]


def test_ids_are_split_merged_and_renamed(studio, tmp_path):
    from playwright.sync_api import expect

    clip = page.shot(tmp_path / "clip.mp4", 12)
    with page.browser() as chromium:
        tab = chromium.new_context(accept_downloads=True).new_page()
        opened(tab, studio, clip, 12)
        rows = tab.locator(".row button")
        count = rows.count()
        rows.first.click()
        for _ in range(6):
            tab.keyboard.press(".")
        tab.click("text=Somebody else from this frame on")
        expect(tab.locator(".row")).to_have_count(count + 1)

        tab.get_by_label("Is the same person as").select_option(index=0)
        tab.click("text=Merge")
        expect(tab.locator(".row")).to_have_count(count)
        rows.first.click()
        tab.get_by_label("New id").fill("2")
        tab.get_by_role("button", name="Rename").click()
        tab.get_by_text("are in one frame together").wait_for()
        tab.get_by_label("New id").fill("77")
        tab.get_by_role("button", name="Rename").click()
        tab.get_by_role("button", name="Person 77").wait_for()
        expect(tab.locator("aside select").first).to_have_value("77")
        assert 77 in [one["id"] for one in first_line(tab)["people"]]
        tab.click("text=Undo")
        expect(tab.locator("aside select").first).not_to_have_value("77")
        expect(tab.get_by_label("New id")).to_be_visible()  # of whoever is chosen still


def test_a_film_that_no_browser_plays_is_shown_and_compared(studio, tmp_path):
    """The server makes an AVI playable; two jobs of it stand side by side, readable for all."""
    clip = page.shot(tmp_path / "old.avi", 4)
    with page.browser() as chromium:
        tab = chromium.new_context(bypass_csp=True).new_page()  # for axe-core
        for _ in range(2):
            opened(tab, studio, clip, 4)
            tab.wait_for_function("document.querySelector('video').readyState >= 2")
            assert tab.evaluate("document.querySelector('video').videoWidth") == 640
        tab.goto(studio + "#/compare")
        tab.get_by_text("lie 0.0 pixels apart").wait_for(timeout=30_000)
        readable(tab)


@pytest.mark.skipif(not site.engine_folder(), reason="needs the engine: npm ci --prefix web")
def test_the_server_answers_a_camera(studio, tmp_path):
    film = page.shot(tmp_path / "class.mjpeg", 50)
    flags = [*page.camera(film), "--use-fake-ui-for-media-stream"]
    with page.browser(*flags) as chromium:
        tab = chromium.new_context(bypass_csp=True).new_page()
        tab.goto(studio + "#/live")
        tab.get_by_label("Where the work is done").select_option("server")
        readable(tab)
        tab.click("text=Start the camera")
        tab.wait_for_selector("canvas[aria-label^='5 people drawn']", timeout=120_000)
        tab.click("text=Follow people")
        tab.wait_for_selector("canvas[aria-label^='5 people drawn']", timeout=60_000)
        tab.click("text=Stop the camera")


def test_a_lifted_job_is_shown_in_space_and_coached(studio, tmp_path):
    """Put in space by the form; then the coach counts in a journal of squats, and a row jumps."""
    clip = page.shot(tmp_path / "clip.mp4", 4)
    with page.browser() as chromium:
        tab = chromium.new_context(bypass_csp=True).new_page()  # for axe-core
        tab.goto(studio)
        tab.get_by_label("People in space").check()
        tab.get_by_label("Camera's view in degrees").fill("55")
        tab.get_by_label("People's height in metres").fill("1.8")
        if AXE.is_file():
            assert violations(tab) == []
        tab.set_input_files("#files", clip)
        tab.get_by_text("done · 4 of 4 frames").wait_for(timeout=180_000)
        (kept,) = (tmp_path / "served/everybody-studio/jobs").iterdir()
        options = json.loads((kept / "out/run.json").read_text())["options"]
        assert (options["lift"], options["fov"], options["height"]) == (True, 55, 1.8)
        write_journal(squats(3), kept / "out")
        tab.click(".job >> text=Open")
        tab.get_by_role("img", name="People in space").wait_for()

        tab.get_by_label("Exercise").select_option("auto")
        tab.get_by_role("button", name="Count", exact=True).click()
        tab.get_by_text("Squat: 3 repetitions").wait_for(timeout=30_000)
        rows = tab.locator("tbody tr")
        assert rows.count() == 3
        rows.nth(1).get_by_role("button").click()
        tab.get_by_text(re.compile(r"^7\d / 151")).wait_for()
        tab.get_by_label("Exercise").select_option("push_up")
        tab.get_by_text("Push-up: 0 repetitions").wait_for(timeout=30_000)
        tab.get_by_label("Exercise").select_option("squat")
        tab.get_by_text("Squat: 3 repetitions").wait_for(timeout=30_000)
        readable(tab)


def test_a_job_is_worn_and_animated(studio, tmp_path):
    """A hat on a film, a stick figure and a character of one's own that move, in the page."""
    from everybody.apps.stick import stick

    clip = page.shot(tmp_path / "clip.mp4", 12)
    hero = tmp_path / "hero.glb"
    hero.write_bytes(stick(1.4, "cmu"))
    with page.browser() as chromium:
        tab = chromium.new_context(bypass_csp=True, accept_downloads=True).new_page()
        opened(tab, studio, clip, 12)
        tab.get_by_role("button", name="Draw", exact=True).click()
        tab.get_by_text("nothing to draw").wait_for(timeout=30_000)
        tab.get_by_label("Hat", exact=True).check()
        tab.get_by_role("button", name="Draw", exact=True).click()
        film = tab.get_by_label("The film with things drawn into it")
        film.wait_for(timeout=120_000)
        assert film.evaluate(
            "film => new Promise(done => (film.readyState ? done(film.videoWidth) : "
            "film.addEventListener('loadedmetadata', () => done(film.videoWidth))))"
        ) == 640  # fmt: skip

        tab.get_by_role("button", name="Animate", exact=True).click()
        tab.get_by_text("a foot stands in").wait_for(timeout=120_000)
        tab.get_by_role("img", name="People in space").wait_for()
        with tab.expect_download() as download:
            tab.get_by_role("link", name="The animated character, .bvh").click()
        assert Path(download.value.path()).read_text().startswith("HIERARCHY")
        tab.get_by_label("Character").select_option("own")
        tab.locator("input[type=file][accept='.glb,.vrm,.bvh']").set_input_files(hero)
        tab.get_by_role("button", name="Animate", exact=True).click()
        tab.get_by_text("a foot stands in").wait_for(timeout=120_000)
        with tab.expect_download() as download:
            tab.get_by_role("link", name="The animated character, .glb").click()
        assert b"lfemur" in Path(download.value.path()).read_bytes()
        readable(tab)
