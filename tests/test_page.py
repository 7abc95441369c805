"""The page in a real browser, without a server: Debian's Chromium, driven by Playwright.

They need /usr/bin/chromium, and the engine: `npm ci --prefix web`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from everybody import Estimator, Frame
from everybody.web import export, site
from everybody.weights import manifest
from synthetic import browser as page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not page.CHROMIUM.exists(), reason="needs Debian's Chromium"),
    pytest.mark.skipif(not site.engine_folder(), reason="needs the engine: npm ci --prefix web"),
]
AXE = page.ROOT / "web/node_modules/axe-core/axe.min.js"
OPEN = """async variant => {
    const {PoseEngine} = await import('/pose/client.js');
    window.engine = new PoseEngine(location.href);
    return engine.open({variant});
}"""
PEOPLE = """async ([pixels, width, height]) => {
    const bytes = Uint8ClampedArray.from(atob(pixels), one => one.charCodeAt(0));
    return (await engine.people(new ImageData(bytes, width, height))).people;
}"""


@pytest.fixture(scope="module")
def shared() -> Path:
    folder = page.ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared")
    return folder


@pytest.mark.parametrize("variant", site.VARIANTS)
def test_poses_equal_those_of_the_library(shared, variant):
    """Identical pixels: each joint that scores at least .3 lies within half a pixel."""
    pictures = sorted((shared / "data/coco_val/images").iterdir())[:10]
    library = Estimator(model=variant, threads=1)
    files = {**site.site_files(server=False), "blank.html": b"<!doctype html><title>blank</title>"}
    with page.served(files) as url, page.browser() as chromium:
        tab = chromium.new_page()
        tab.goto(url + "blank.html")
        tab.evaluate(OPEN, variant)
        for picture in pictures:
            image = np.asarray(Image.open(picture).convert("RGBA"))
            pixels = base64.b64encode(image.tobytes()).decode()
            said = tab.evaluate(PEOPLE, [pixels, image.shape[1], image.shape[0]])
            (frame,) = library([Frame(np.ascontiguousarray(image[..., :3]))])
            assert len(said) == len(frame.people), picture.name
            for one, keypoints in zip(said, frame.people.keypoints, strict=True):
                found = np.array(one["keypoints"])
                sure = keypoints[:, 2] >= 0.3
                apart = np.abs(found[sure, :2] - keypoints[sure, :2])
                assert apart.max(initial=0) <= 0.5, picture.name


def test_an_export_works_offline_and_keeps_corrections(shared, tmp_path):
    """Drop a video, watch it, drag a joint, reload with the server gone: it is still there."""
    clip = page.shot(tmp_path / "clip.mp4", 6)
    export.export(tmp_path / "site")
    files = {
        path.relative_to(tmp_path / "site").as_posix(): path
        for path in (tmp_path / "site").rglob("*")
        if path.is_file()
    }
    with page.browser() as chromium:
        context = chromium.new_context(accept_downloads=True)
        tab = context.new_page()
        with page.served(files) as url:
            tab.goto(url)
            tab.evaluate("navigator.serviceWorker.ready.then(() => true)")
        context.set_offline(True)
        tab.goto(url)
        tab.set_input_files("#files", clip)
        tab.wait_for_selector("[data-state=done]", timeout=120_000)
        assert tab.get_by_text("6 of 6 frames").is_visible()

        tab.click("text=Open")
        tab.wait_for_selector(".transport")
        before, after = drag_a_joint(tab)
        assert np.hypot(*np.subtract(after, before)) > 5
        tab.reload()
        tab.wait_for_selector(".transport")
        with tab.expect_download() as download:
            tab.click("text=People, frame by frame")
        lines = Path(download.value.path()).read_text().splitlines()
        assert len(lines) == 6
        places = [person["keypoints"] for person in json.loads(lines[0])["people"]]
        nearest = np.abs(np.array(places)[..., :2] - after).max(-1).min()
        assert nearest < 1.5
        assert tab.get_by_text("1 correction", exact=True).is_visible()


def drag_a_joint(tab) -> tuple[list[float], list[float]]:
    """Drags the surest joint of the first frame: its place before and after, in picture pixels."""
    tab.wait_for_function("document.querySelector('.over').getBoundingClientRect().width > 300")
    box = tab.locator(".over").bounding_box()
    with tab.expect_download() as download:
        tab.click("text=People, frame by frame")
    first = json.loads(Path(download.value.path()).read_text().splitlines()[0])
    scale = box["width"] / first["width"]
    joints = [joint for person in first["people"] for joint in person["keypoints"]]
    x, y, _ = max(joints, key=lambda joint: joint[2])
    start = (box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale)
    tab.mouse.move(*start)
    tab.mouse.down()
    tab.mouse.move(start[0] + 30, start[1] + 12, steps=4)
    tab.mouse.up()
    tab.get_by_text("1 correction", exact=True).wait_for()
    return [x, y], [x + 30 / scale, y + 12 / scale]


def test_the_live_camera_shows_skeletons(shared, tmp_path):
    film = page.shot(tmp_path / "class.mjpeg", 50)
    allowed = [*page.camera(film), "--use-fake-ui-for-media-stream"]
    with page.served(site.site_files(server=False)) as url, page.browser(*allowed) as chromium:
        tab = chromium.new_page()
        tab.goto(url + "#/live")
        tab.click("text=Start the camera")
        tab.get_by_text("frames a second").wait_for(timeout=120_000)
        tab.wait_for_selector("canvas[aria-label^='5 people drawn']", timeout=60_000)
        tab.click("text=Follow people")
        tab.click("text=Steady the joints")
        tab.wait_for_selector("canvas[aria-label^='5 people drawn']", timeout=60_000)
        tab.click("text=Stop the camera")
        assert tab.inner_text("#rate") == "Stopped."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--use-fake-device-for-media-stream", "--deny-permission-prompts"], "was refused"),
        ([], "No camera was found"),
    ],
)
def test_a_camera_that_is_not_there_is_said(arguments, words):
    with page.served(site.site_files(server=False)) as url, page.browser(*arguments) as chromium:
        context = chromium.new_context()
        if not arguments:
            context.grant_permissions(["camera"])
        tab = context.new_page()
        tab.goto(url + "#/live")
        tab.click("text=Start the camera")
        tab.locator("#rate").get_by_text(words).wait_for(timeout=30_000)


def test_a_browser_without_simd_is_said():
    with page.served(site.site_files(server=False)) as url, page.browser() as chromium:
        tab = chromium.new_page()
        tab.goto(url)
        said = tab.evaluate(
            """async () => {
                WebAssembly.validate = () => false;
                const {openEngine} = await import('/pose/session.js');
                const {explain} = await import('/text.js');
                return openEngine(location.href).then(() => '', explain);
            }"""
        )
        assert "no WebAssembly SIMD" in said


def test_a_film_that_it_cannot_play_and_a_network_that_is_missing_are_said(tmp_path):
    (tmp_path / "old.avi").write_bytes(b"RIFF and nothing that a browser plays")
    picture = tmp_path / "grey.png"
    Image.new("RGB", (64, 64), "grey").save(picture)
    files = site.site_files(server=False)
    del files[f"models/{manifest.variant('accurate').pose}.onnx"]
    with page.served(files) as url, page.browser() as chromium:
        tab = chromium.new_page()
        tab.goto(url)
        tab.set_input_files("#files", tmp_path / "old.avi")
        tab.get_by_text("old.avi: this browser cannot play it").wait_for(timeout=120_000)
        tab.select_option("fieldset select", "accurate")
        tab.set_input_files("#files", picture)
        tab.get_by_text("could not be loaded: is the site complete?").wait_for(timeout=120_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_violation_of_accessibility(shared, tmp_path, scheme):
    """axe-core (WCAG 2.2 A and AA) on every view, wide and on a phone."""
    if not AXE.is_file():
        pytest.skip("needs axe-core: npm ci --prefix web")
    clip = page.shot(tmp_path / "clip.mp4", 2)
    with page.served(site.site_files(server=False)) as url, page.browser() as chromium:
        tab = chromium.new_context(color_scheme=scheme).new_page()
        tab.goto(url)
        for _ in range(2):
            tab.set_input_files("#files", clip)
            tab.wait_for_selector("[data-state=done] >> nth=0", timeout=120_000)
        tab.wait_for_function("document.querySelectorAll('[data-state=done]').length === 2")
        run = tab.locator("text=Open").first.get_attribute("href")
        for view, ready in (
            ("#/", ".drop"),
            (run, ".transport"),
            ("#/compare", ".pair"),
            ("#/live", "#rate"),
        ):
            tab.goto(url + view)
            tab.wait_for_selector(ready)
            if view == run:
                tab.locator(".row button").first.click()
            for width in (1280, 360):
                tab.set_viewport_size({"width": width, "height": 800})
                assert violations(tab) == [], (view, width)
                across = tab.evaluate("document.documentElement.scrollWidth")
                assert across <= width, (view, width)


def violations(tab) -> list[str]:
    tab.add_script_tag(path=str(AXE))
    found = tab.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    )
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found["violations"]]


GREYS = """async (count) => {
    const {Film} = await import('/player/film.js');
    const times = [...Array(count).keys()].map(n => ({time: n / 25, people: []}));
    const url = URL.createObjectURL(await (await fetch('steps.mp4')).blob());
    const film = new Film({kind: 'video', url, frames: times});
    const seen = [];
    const {media} = film;
    const happens = name => new Promise(done => media.addEventListener(name, done, {once: true}));
    const context = new OffscreenCanvas(64, 64).getContext('2d', {willReadFrequently: true});
    const greyNow = () => {
        context.drawImage(media, 0, 0);
        return context.getImageData(32, 32, 1, 1).data[1];
    };
    const wrong = (grey, n) => Math.round((grey - 10) / 20) !== n;
    await happens('loadeddata');
    for (let n = 0; n < count; n++) {
        const seeked = happens('seeked');
        film.seek(n);
        await seeked;
        let grey = greyNow();
        for (let turn = 0; turn < 60 && wrong(grey, n); turn++) {  // "seeked" can come early
            await new Promise(requestAnimationFrame);
            grey = greyNow();
        }
        seen.push(grey);
    }
    return seen;
}"""
DECODED = """async () => {
    const {openVideo, frameOf} = await import('/work/media.js');
    const file = new File([await (await fetch('steps.mp4')).blob()], 'steps.mp4');
    const video = await openVideo(file);
    const seen = [];
    for (let n = 0; n < video.count; n++) {
        const context = new OffscreenCanvas(64, 64).getContext('2d');
        context.drawImage(await frameOf(video, n), 0, 0);
        seen.push(context.getImageData(32, 32, 1, 1).data[1]);
    }
    return seen;
}"""


def test_each_frame_is_shown_and_read_with_its_own_picture(tmp_path):
    """A film whose frames are ever lighter: frame n of the player, and of the reader, is grey n."""
    count, steps = 12, tmp_path / "steps.mp4"
    with av.open(str(steps), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for n in range(count):
            grey = np.full((64, 64, 3), 20 * n + 10, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        out.mux(stream.encode())
    files = {**site.site_files(server=False), "steps.mp4": steps}
    with page.served(files) as url, page.browser() as chromium:
        tab = chromium.new_page()
        tab.goto(url)
        for seen in (tab.evaluate(GREYS, count), tab.evaluate(DECODED)):
            assert [round((grey - 10) / 20) for grey in seen] == list(range(count))
