"""Pictures, videos and crops: what was written is read back, at the right times, and survives kills
and full disks.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everybody.errors import OutputError
from everybody.media.encode import VideoWriter, unused
from everybody.media.names import Names
from everybody.media.read import read
from everybody.media.write import Overlays, save_crops, save_image
from everybody.people import Frame, People
from everybody.skeletons import COCO17

from .test_journal import disk

RED = (230, 30, 60)


def plain(width=64, height=48, colour=RED):
    return np.full((height, width, 3), colour, np.uint8)


def noise(seed, width=160, height=120):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def film(path, pictures, times, **options):
    with VideoWriter(path, **options) as writer:
        for picture, time in zip(pictures, times, strict=True):
            writer.write(picture, time)


def frames(path):
    with av.open(str(path)) as video:
        return [
            (float(frame.time), frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)
        ]


def sound(path):
    with av.open(str(path)) as video:
        return [
            float(packet.pts * packet.time_base)
            for packet in video.demux(audio=0)
            if packet.pts is not None
        ]


@pytest.fixture(scope="module")
def talkie(tmp_path_factory):
    """Two seconds of 25 pictures each with sound, whose second second is loud."""
    path = tmp_path_factory.mktemp("talkie") / "talkie.mp4"
    return record(path, "aac")


def record(path, codec, rate=48000):
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = output.add_stream(codec, rate=rate, layout="mono")
        converter = av.AudioResampler(format=audio.codec_context.format, layout="mono", rate=rate)
        for i in range(50):
            output.mux(
                video.encode(
                    av.VideoFrame.from_ndarray(plain(colour=(i * 5, 0, 0)), format="rgb24")
                )
            )
        for i in range(2 * rate // 1000):
            samples = np.full((1, 1000), 0 if i < rate // 1000 else 9000, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, i * 1000, Fraction(1, rate)
            for converted in converter.resample(frame):
                output.mux(audio.encode(converted))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif", ".JPEG"])
def test_pictures_come_back(tmp_path, suffix):
    path = tmp_path / "new folder" / f"é{suffix}"
    save_image(path, plain()[:, ::-1])
    (frame,) = read(path)
    assert np.abs(frame.image.astype(int) - RED).max() <= 6
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_pictures_that_cannot_be_written(tmp_path):
    path = tmp_path / "a.png"
    save_image(path, plain())
    before = path.read_bytes()
    with disk(100), pytest.raises(OutputError, match=r"a\.png"):
        save_image(path, noise(0))
    assert path.read_bytes() == before
    with pytest.raises(OutputError, match=r"\.webp"):
        save_image(tmp_path / "a.xyz", plain())
    with pytest.raises(OutputError, match=r"a\.webp"):
        save_image(tmp_path / "a.webp", plain(20000, 4))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.floats(0.001, 3), min_size=1, max_size=12),
    st.floats(0, 10000),
    st.tuples(st.integers(16, 70), st.integers(16, 70)),
)
def test_times_are_kept(tmp_path_factory, gaps, start, size):
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    times = start + np.cumsum(gaps)
    film(path, [plain(*size)] * len(times), times)
    read_back = [time for time, _ in frames(path)]
    np.testing.assert_allclose(read_back, times - times[0], atol=2e-5)
    assert (np.diff(read_back) > 0).all()


def test_times_that_do_not_go_up_make_no_frame_vanish(tmp_path):
    film(tmp_path / "v.mp4", [plain()] * 4, [1.0, 1.0, 0.5, 2.0])
    times = [time for time, _ in frames(tmp_path / "v.mp4")]
    assert len(times) == 4
    assert (np.diff(times) > 0).all()
    assert times[-1] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("size", [(64, 48), (63, 48), (64, 47), (17, 33)])
def test_colours_and_odd_sizes(tmp_path, size):
    film(tmp_path / "v.mp4", [plain(*size)], [0.0])
    ((_, picture),) = frames(tmp_path / "v.mp4")
    assert picture.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert np.abs(picture.astype(int) - RED).max() <= 4


def test_another_size_is_fitted_in(tmp_path):
    film(tmp_path / "v.mp4", [plain(), plain(200, 300), plain(10, 4)], [0, 0.1, 0.2])
    _, tall, wide = (picture.astype(int) for _, picture in frames(tmp_path / "v.mp4"))
    assert tall.shape == wide.shape == (48, 64, 3)
    for picture, bar, inside in (
        (tall, tall[:, :14], tall[:, 20:44]),
        (wide, wide[:9], wide[14:34]),
    ):
        assert picture.shape == (48, 64, 3)
        assert bar.max() < 25
        assert np.abs(inside - RED).max() < 25


def test_a_video_plays_up_to_its_last_fragment_while_it_is_written(tmp_path):
    path, copy = tmp_path / "v.mp4", tmp_path / "copy.mp4"
    times = [i / 10 for i in range(100)]
    with VideoWriter(path) as writer:
        for i, time in enumerate(times):
            writer.write(noise(i), time)
        shutil.copy(path, copy)  # what a kill would leave
        shutil.copy(path, tmp_path / "torn.mp4")
        with open(tmp_path / "torn.mp4", "r+b") as file:
            file.truncate(copy.stat().st_size // 2)
    whole = [time for time, _ in frames(path)]
    assert whole == pytest.approx(times, abs=2e-5)
    part = [time for time, _ in frames(copy)]
    assert 40 <= len(part) < 100
    assert part == whole[: len(part)]
    torn = []
    with suppress(av.error.InvalidDataError), av.open(str(tmp_path / "torn.mp4")) as video:
        torn.extend(float(frame.time) for frame in video.decode(video=0))
    assert 10 <= len(torn) < len(part)
    assert torn == whole[: len(torn)]


def test_a_full_disk_leaves_what_plays(tmp_path):
    path = tmp_path / "v.mp4"

    def overflow():
        film(path, (noise(i) for i in range(100)), [i / 10 for i in range(100)])

    with disk(300_000), pytest.raises(OutputError, match=r"v\.mp4"):
        overflow()
    with av.open(str(path)) as video:
        assert next(video.decode(video=0)).time == 0
    with pytest.raises(OutputError, match="cannot be written"):
        film(tmp_path / "v.mp4" / "w.mp4", [plain()], [0])


def test_a_closed_writer_stays_closed(tmp_path):
    writer = VideoWriter(tmp_path / "v.mp4")
    writer.write(plain(), 0)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(plain(), 1)
    film(tmp_path / "none.mp4", [], [])
    assert not (tmp_path / "none.mp4").exists()


def test_sound_goes_with_the_selection(tmp_path, talkie):
    said = []
    film(
        tmp_path / "all.mp4",
        [plain()] * 50,
        [i / 25 for i in range(50)],
        audio=str(talkie),
        say=said.append,
    )
    film(
        tmp_path / "end.mp4",
        [plain()] * 10,
        [1.2 + i / 25 for i in range(10)],
        audio=str(talkie),
        say=said.append,
    )
    assert said == []
    whole, end = sound(tmp_path / "all.mp4"), sound(tmp_path / "end.mp4")
    assert whole[0] == pytest.approx(0, abs=0.05)
    assert whole[-1] == pytest.approx(2, abs=0.05)
    assert end[0] == pytest.approx(0, abs=0.05)
    assert end[-1] == pytest.approx(0.4, abs=0.05)
    assert len(frames(tmp_path / "end.mp4")) == 10
    with av.open(str(tmp_path / "all.mp4")) as video:  # silence for a second, then not
        loud = [f.time for f in video.decode(audio=0) if np.abs(f.to_ndarray()).max() > 0.05]
    assert loud[0] == pytest.approx(1, abs=0.06)
    with av.open(str(tmp_path / "end.mp4")) as video:
        assert any(
            np.abs(f.to_ndarray()).max() > 0.05 for f in video.decode(audio=0) if f.time < 0.1
        )


def test_pictures_do_not_wait_for_sound_that_has_ended(tmp_path, talkie):
    path = tmp_path / "v.mp4"
    with VideoWriter(path, audio=str(talkie)) as writer:
        for i in range(150):
            writer.write(noise(i % 5), i / 10)  # 15 s, of which 2 with sound
        shutil.copy(path, tmp_path / "copy.mp4")
    assert len(frames(tmp_path / "copy.mp4")) > 80
    assert len(frames(path)) == 150


def test_sound_that_does_not_fit_is_said(tmp_path):
    said = []
    source = record(tmp_path / "talkie.avi", "pcm_mulaw")
    film(tmp_path / "v.mp4", [plain()], [0], audio=str(source), say=said.append)
    assert len(said) == 1
    assert "talkie.avi" in said[0]
    (tmp_path / "broken.mp4").write_text("no video")
    film(tmp_path / "w.mp4", [plain()], [0], audio=str(tmp_path / "broken.mp4"), say=said.append)
    assert len(said) == 2
    film(tmp_path / "x.mp4", [plain()], [0], audio="rtsp://nowhere/x", say=said.append)
    film(
        tmp_path / "y.mp4", [plain()], [0], audio=str(tmp_path / "x.mp4"), say=said.append
    )  # has none
    assert len(said) == 2


@pytest.mark.parametrize(
    ("codec", "suffix"), [("ac3", "mkv"), ("alac", "mov"), ("libopus", "mkv"), ("mp2", "mpg")]
)
def test_sounds_that_mp4_holds(tmp_path, codec, suffix):
    source = record(tmp_path / f"a.{suffix}", codec)
    film(
        tmp_path / "v.mp4",
        [plain()] * 50,
        [i / 25 for i in range(50)],
        audio=str(source),
        say=pytest.fail,
    )
    times = sound(tmp_path / "v.mp4")
    assert times[0] == pytest.approx(0, abs=0.05)
    assert times[-1] == pytest.approx(2, abs=0.1)
    assert len(frames(tmp_path / "v.mp4")) == 50


def test_a_source_is_not_overwritten_by_its_overlay(tmp_path, talkie):
    video, picture = tmp_path / "talkie.mp4", tmp_path / "a.png"
    shutil.copy(talkie, video)
    save_image(picture, plain())
    with Overlays(tmp_path) as overlays:
        for source in (video, picture):
            before = source.read_bytes()
            with pytest.raises(OutputError, match="source itself"):
                overlays.write(frame(str(source)))
            assert source.read_bytes() == before


@pytest.mark.parametrize("name", ["10:30.mp4", "concat:interview.mp4", "http:x.mp4", "50%d.mp4"])
def test_names_that_look_like_addresses_keep_their_own_sound(tmp_path, talkie, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "interview.mp4", [plain()] * 5, [i / 25 for i in range(5)])  # silent
    shutil.copy(talkie, tmp_path / name)
    path = tmp_path / "out:1" / name
    with Overlays(path.parent, say=pytest.fail) as overlays:
        for one in read(name):
            overlays.write(one)
    (written,) = path.parent.iterdir()
    with av.open(f"file:{written}") as video:
        heard = [p.pts * p.time_base for p in video.demux(audio=0) if p.pts is not None]
    assert float(heard[-1]) == pytest.approx(2, abs=0.05)


def test_the_handed_name_with_a_colon(tmp_path, shared):
    path = tmp_path / "10:30.mp4"
    shutil.copy(shared / "cases" / "colon-in-names" / "rename_me.mp4", path)
    with Overlays(tmp_path / "out", say=pytest.fail) as overlays:
        for one in read(path):
            written = overlays.write(one)
    with av.open(f"file:{written}") as video:
        assert len(video.streams.audio) == 1


def test_sound_of_a_playlist_is_copied_and_pictures_have_none(tmp_path, talkie):
    record(tmp_path / "a.ts", "aac")
    listed = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "a.m3u8").write_text(listed)
    times = [i / 25 for i in range(50)]
    film(tmp_path / "o.mp4", [plain()] * 50, times, audio=str(tmp_path / "a.m3u8"), say=pytest.fail)
    assert sound(tmp_path / "o.mp4")[-1] == pytest.approx(2, abs=0.1)
    save_image(tmp_path / "a.webp", plain())
    film(tmp_path / "p.mp4", [plain()], [0], audio=str(tmp_path / "a.webp"), say=pytest.fail)


def test_unused(tmp_path):
    path = tmp_path / "a.mp4"
    assert unused(path) == path
    path.touch()
    assert unused(path) == tmp_path / "a.2.mp4"
    (tmp_path / "a.2.mp4").touch()
    assert unused(path) == tmp_path / "a.3.mp4"


def frame(source, index=0, people=None):
    return Frame(plain(), index, index / 10, source, people or People.empty(COCO17))


def test_overlays_are_called_like_their_sources(tmp_path):
    sources = ["a/x.png", "b/x.png", "c.heic", "v.mp4"]
    with Overlays(tmp_path) as overlays:
        paths = [overlays.write(frame(source)) for source in sources]
        paths.append(overlays.write(frame("v.mp4", 1)))
    assert [path.name for path in paths] == ["x.png", "b_x.png", "c.jpg", "v.mp4", "v.mp4"]
    assert len(frames(tmp_path / "v.mp4")) == 2
    with Overlays(
        tmp_path, known=sources
    ) as overlays:  # resumed: names as before, videos beside the first part
        assert overlays.write(frame("b/x.png")).name == "b_x.png"
        assert overlays.write(frame("v.mp4", 2)).name == "v.2.mp4"
    assert len(frames(tmp_path / "v.mp4")) == 2
    with Overlays(tmp_path / "stills", video=False) as overlays:
        assert overlays.write(frame("v.mp4", 7)).name == "v_000000000007.jpg"


def test_sources_that_come_back_or_have_no_suffix_lose_nothing(tmp_path):
    with Overlays(tmp_path) as overlays:
        for source, index in (
            ("a.mp4", 0),
            ("b.mp4", 0),
            ("a.mp4", 1),
            ("film", 0),
            ("film", 1),
            ("film", 2),
        ):
            overlays.write(frame(source, index))
    assert [len(frames(tmp_path / name)) for name in ("a.mp4", "a.2.mp4", "b.mp4", "film.mp4")] == [
        1,
        1,
        1,
        3,
    ]


def test_overlays_show_people(tmp_path):
    someone = People.from_boxes([[10.0, 10, 40, 40]])
    with Overlays(tmp_path, ids=False) as overlays:
        path = overlays.write(frame("a.png", people=someone))
    drawn = cv2.imread(str(path))[..., ::-1]
    assert (drawn == someone.draw(plain(), ids=False)).all()
    assert (drawn != plain()).any()


def test_crops(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[12:29, 12:29] = 255
    boxes = [[12, 12, 28, 28], [-20, -20, -10, -10], [50, 30, 90, 90], [5, 5, 5, 5]]
    someone = Frame(image, 0, 0.0, "b/a.png", People.from_boxes(boxes))
    paths = save_crops(someone, tmp_path, Names())
    assert [path.name for path in paths] == ["a_person00.jpg", "a_person02.jpg"]
    crop = cv2.imread(str(paths[0]))
    assert crop.shape == (20, 20, 3)  # the box of 16 pixels, and an eighth of it on each side
    assert crop[4:-4, 4:-4].min() > 200
    assert crop[:2].max() < 60
    tracked = People(np.zeros((1, 0, 3)), boxes[:1], [1.0], someone.people.skeleton, np.array([7]))
    (path,) = save_crops(Frame(image, 3, 0.1, "v.mp4", tracked), tmp_path, Names())
    assert path.name == "v_000000000003_id7.jpg"
