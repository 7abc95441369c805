"""One argument, any source: every kind gives its frames, every bad one a line that names it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from everybody.errors import EverybodyError, InputError, OptionError
from everybody.media import live
from everybody.media.read import Item, Selection, count, expand, one, read
from everybody.people import Frame

from .movies import encode, grey, number


def picture(value: int) -> np.ndarray:
    return np.full((4, 6, 3), value, np.uint8)


def save(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(value)).save(path)
    return path


def values(*arguments: Any, **options: Any) -> list[int]:
    return [int(frame.image[0, 0, 0]) for frame in read(*arguments, **options)]


def line(source: Any) -> str:
    """The one line with which `read` refuses a source; `problem` gets the same and reading ends in
    peace.
    """
    with pytest.raises(InputError) as caught:
        list(read(source))
    problems: list[EverybodyError] = []
    assert list(read(source, problem=problems.append)) == []
    assert str(problems[0]) == str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_picture_by_path(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 7)
    for source in (path, str(path)):
        (frame,) = read(source)
        assert (frame.source, frame.index, frame.time) == (str(path), 0, 0.0)
        assert (frame.image == 7).all()
    assert values(path.as_uri()) == [7]


def test_a_folder_in_natural_order_without_the_unknown_and_the_hidden(tmp_path: Path) -> None:
    for i in (10, 2, 1):
        save(tmp_path / f"img{i}.PNG", i)
    encode(tmp_path / "img3.mp4", 2)
    save(tmp_path / "below" / "img4.png")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "Thumbs.db").write_bytes(b"\0\1")
    (tmp_path / "._img1.png").write_bytes(b"\0\5\x16\7")
    names = ["img1.PNG", "img2.PNG", "img3.mp4", "img3.mp4", "img10.PNG"]
    assert [frame.source for frame in read(tmp_path)] == [str(tmp_path / name) for name in names]
    assert [frame.index for frame in read(tmp_path)] == [0, 0, 0, 1, 0]
    items = expand(tmp_path)
    assert [item.name for item in items] == [
        str(tmp_path / name) for name in (*names[:3], names[4])
    ]
    assert count(items) == 5
    assert [frame.source for frame in read(items)] == [frame.source for frame in read(tmp_path)]


def test_globs(tmp_path: Path) -> None:
    for i, name in enumerate(("a10.png", "a9.png", "x/a1.png", "x/y/a2.png")):
        save(tmp_path / name, i)
    (tmp_path / "a.csv").write_text("1,2")
    assert values(f"{tmp_path}/*") == [1, 0]
    assert values(f"{tmp_path}/**/*.png") == [1, 0, 2, 3]
    assert values(f"{tmp_path}/a[19]*.png") == [1, 0]
    save(tmp_path / "odd[1].png", 5)
    assert values(tmp_path / "odd[1].png") == [5]
    save(tmp_path / "b.png", 6).rename(tmp_path / "b.data")
    assert values(f"{tmp_path}/*.data") == [6]


def test_a_list_names_paths_from_where_it_lies(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", 1)
    save(tmp_path / "b c.png", 2)
    listing = tmp_path / "list.txt"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        listing.write_text(
            f"# ü: a comment\n\nin/a.png\r\n  b c.png \n{tmp_path / 'b c.png'}\nin\n",
            encoding=encoding,
        )
        assert values(listing) == [1, 2, 2, 1]
    assert [item.name for item in expand(listing)][:2] == [
        str(tmp_path / "in" / "a.png"),
        str(tmp_path / "b c.png"),
    ]
    listing.write_text("in/a.png\nmissing.png\nb c.png\n")
    with pytest.raises(InputError, match=r"list\.txt, line 2: .*missing\.png: no such file"):
        list(read(listing))
    problems: list[EverybodyError] = []
    assert values(listing, problem=problems.append) == [1, 2]
    assert len(problems) == 1


def test_a_list_does_not_read_lists(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("list.txt\n")
    assert "is text" in line(tmp_path / "list.txt")


def test_sources_of_all_kinds_in_one_list(tmp_path: Path) -> None:
    file = save(tmp_path / "a.png", 3)
    frame = Frame(picture(9), index=4, time=0.5, source="mine")
    sources = [
        file,
        picture(1),
        [Image.fromarray(picture(2))],
        file.read_bytes(),
        frame,
        str(encode(tmp_path / "b.mp4", 2)),
    ]
    frames = list(read(sources))
    assert [(f.source, f.index) for f in frames[:5]] == [
        (str(file), 0),
        ("array", 0),
        ("array", 1),
        ("bytes", 0),
        ("mine", 4),
    ]
    assert [f.index for f in frames[5:]] == [0, 1]
    assert frames[4] is frame
    assert count(expand(sources)) == 7


def test_arrays() -> None:
    assert [(f.source, f.index, f.time) for f in read([picture(1), picture(2)])] == [
        ("array", 0, 0.0),
        ("array", 1, 0.04),
    ]
    assert values(np.stack([picture(5), picture(6)])) == [5, 6]
    (grey,) = read(np.full((4, 6), 8, np.uint8))
    assert grey.image.shape == (4, 6, 3)
    (view,) = read(np.zeros((8, 8, 3), np.uint8)[::2, ::-1])
    assert view.image.flags.c_contiguous


@pytest.mark.parametrize("shape", [(4, 6, 4), (4,), (0, 6, 3), (2, 4, 6), (1, 2, 4, 6, 3)])
def test_arrays_of_another_form_are_refused_with_what_was_given(shape: tuple[int, ...]) -> None:
    assert str(list(shape)) in line(np.zeros(shape, np.uint8))
    assert "float32" in line(np.zeros((4, 6, 3), np.float32))


def test_an_endless_iterable_is_drawn_only_as_far_as_asked() -> None:
    drawn: list[int] = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            drawn.append(1)
            yield picture(len(drawn) % 200)

    assert [f.index for f in read(endless(), select=Selection(2, 8, 3))] == [2, 5]
    assert len(drawn) == 8
    frames = read(endless())
    drawn.clear()
    next(frames)
    assert len(drawn) == 1
    assert expand(endless())[0].kind == "iterable"
    assert len(drawn) == 1
    assert count(expand(endless())) is None


def test_iterables_of_frames_and_of_paths(tmp_path: Path) -> None:
    frames = [Frame(picture(i), i, i / 10, "film") for i in range(5)]
    assert list(read(iter(frames), after={"film": 2})) == frames[3:]
    assert list(read((f for f in frames), select=Selection(1, None, 2))) == frames[1::2]
    assert values(iter([save(tmp_path / "a.png", 1), picture(2)])) == [1, 2]


def test_selection_of_pictures_goes_by_their_place_and_knows_no_time(tmp_path: Path) -> None:
    for i in range(6):
        save(tmp_path / f"{i}.png", i)
    assert values(tmp_path, select=Selection(1, 5, 2)) == [1, 3]
    assert values(tmp_path, select=Selection(1.0, 2.0, 0.5)) == [0, 1, 2, 3, 4, 5]
    assert count(expand(tmp_path), Selection(1, 5, 2)) == 2
    encode(tmp_path / "2b.mp4", 4)
    assert [f.index for f in read(tmp_path, select=Selection(3))] == [
        3,
        0,
        0,
        0,
    ]  # a film has frames of its own


def test_resume_decodes_nothing_that_is_done(tmp_path: Path) -> None:
    done = tmp_path / "1.png"
    done.write_bytes(b"\x89PNG\r\n\x1a\n broken, so decoding it would raise")
    save(tmp_path / "2.png", 2)
    assert values(tmp_path, after={str(done): 0}) == [2]
    assert values([picture(i) for i in range(4)], after={"array": 1}) == [2, 3]


def test_problems_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 1)
    (tmp_path / "2.png").write_bytes(save(tmp_path / "x.png").read_bytes()[:40])
    (tmp_path / "x.png").unlink()
    (tmp_path / "3.mp4").write_bytes(b"\0\1\2\3" * 50)
    save(tmp_path / "4.png", 4)
    problems: list[EverybodyError] = []
    assert values([tmp_path, "nowhere.png", picture(5)], problem=problems.append) == [1, 4, 5]
    assert [str(p).partition(":")[0] for p in problems] == [
        str(tmp_path / "2.png"),
        str(tmp_path / "3.mp4"),
        "nowhere.png",
    ]
    assert all(isinstance(p, InputError) for p in problems)
    assert count([Item("x", "file", str(tmp_path / "gone.png"))]) == 0


def test_every_bad_source_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("<html>hello</html>\n" * 400)
    (tmp_path / "blank.txt").write_text("# nothing\n\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "notes.txt").write_text("x")
    assert "no such file" in line(tmp_path / "missing.jpg")
    assert "no such file" in line(tmp_path / "empty.jpg" / "a.jpg")
    assert "is empty (0 bytes)" in line(tmp_path / "empty.jpg")
    assert "is text (a web page or a list?), neither a picture" in line(tmp_path / "text.jpg")
    assert "lists no paths" in line(tmp_path / "blank.txt")
    assert "holds no pictures or videos (1 other files)" in line(tmp_path / "sub")
    assert "no file matches" in line(f"{tmp_path}/*.jpeg")
    assert "cannot read ftp://" in line("ftp://host/a.jpg")
    assert "null byte" in line("a\0b")
    assert "too long" in line("a" * 5000)
    assert "the list of sources is empty" in line([])
    assert "is empty" in line(b"")
    assert "a float is not a source" in line(2.5)
    assert "a bool is not a source" in line(True)
    assert "a NoneType is not a source" in line(None)
    with pytest.raises(InputError, match="no such file"):
        expand([tmp_path / "missing.jpg"])


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX users")
def test_no_permission(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # to whom nothing is forbidden
        os.seteuid(65534)
    try:
        assert "no permission" in line(path)
        assert "no permission" in line([Item(str(path), "file", str(path))])
    finally:
        os.seteuid(user)


def test_a_pillow_image_is_turned_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(1)).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        assert next(read(image)).size == (4, 6)


class Pipe:
    """What stdin is when it is a pipe: read once, in whatever pieces come."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self.asked = 0

    def read(self, size: int = -1) -> bytes:
        self.asked += 1
        return self._data.read(min(size, 1000) if size > 0 else size)


class Stdin:
    def __init__(self, data: bytes) -> None:
        self.buffer = Pipe(data)


def test_stdin_gives_a_picture_or_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tempfile.TemporaryFile", lambda: pytest.fail("spooled what can be streamed")
    )
    monkeypatch.setattr(sys, "stdin", Stdin(save(tmp_path / "a.png", 5).read_bytes()))
    (frame,) = read("-")
    assert (frame.source, frame.index, int(frame.image[0, 0, 0])) == ("stdin", 0, 5)
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    for name, options in (
        ("a.ts", {}),
        ("a.mkv", {}),
        ("a.mp4", fragments),
        ("b.mp4", {"movflags": "faststart"}),
    ):
        monkeypatch.setattr(
            sys, "stdin", Stdin(encode(tmp_path / name, container=options).read_bytes())
        )
        frames = list(read("-"))
        assert [(f.source, f.index) for f in frames] == [("stdin", i) for i in range(20)]
        assert [number(f) for f in frames] == list(range(20))
    assert count(expand("-")) is None


def test_stdin_spools_a_movie_whose_index_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = list(
        np.random.default_rng(0).integers(0, 255, (6, 240, 320, 3), dtype=np.uint8)
    )  # more than FFmpeg buffers
    data = encode(tmp_path / "a.mp4", noise).read_bytes()
    files: list[Any] = []
    real = tempfile.TemporaryFile
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: files.append(real()) or files[-1])
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    assert [frame.index for frame in read("-")] == list(range(6))
    assert [file.closed for file in files] == [True]


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", "stdin: is empty"), (b"hello", "stdin: is text"), (bytes(99), "stdin: ")],
)
def test_bad_stdin(data: bytes, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    with pytest.raises(InputError, match=expected):
        list(read("-"))


def test_a_real_pipe_is_streamed(tmp_path: Path) -> None:
    """A frame comes out while the writer still holds back the end of the video."""
    data = encode(
        tmp_path / "a.ts",
        [grey(i % 40) for i in range(200)],
        options={"preset": "ultrafast", "tune": "zerolatency"},
    ).read_bytes()
    script = "from everybody.media.read import read\nfor f in read('-'): print(f.index, flush=True)"
    process: Any = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        process.stdin.write(data[: len(data) - 1000])
        process.stdin.flush()
        assert process.stdout.readline() == b"0\n"
        process.stdin.write(data[len(data) - 1000 :])
        process.stdin.close()
        assert process.stdout.read().split()[-1] == b"199"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = subprocess.Popen(["cp", str(save(tmp_path / "a.png", 5)), str(tmp_path / "pipe")])
    assert values(tmp_path / "pipe") == [5]
    assert writer.wait() == 0


def test_open_files_stay_open(tmp_path: Path) -> None:
    with open(save(tmp_path / "a.png", 5), "rb") as file:
        (frame,) = read(file)
        assert frame.source == str(tmp_path / "a.png")
        assert not file.closed


class Camera:
    released = 0

    def __init__(self, number: int) -> None:
        self._left = 5 if number == 1 else 0

    def isOpened(self) -> bool:
        return self._left > 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self._left -= 1
        return (
            (True, np.full((4, 6, 3), (30, 20, 10), np.uint8)) if self._left >= 0 else (False, None)
        )

    def release(self) -> None:
        Camera.released += 1


def test_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(live, "DELAYS", ())
    dropped: list[int] = []
    frames = list(read(1, dropped=dropped.append, problem=lambda _: None))
    assert {f.source for f in frames} == {"camera:1"}
    assert len(frames) + sum(dropped) == 5
    assert frames[-1].index == 4
    assert (frames[0].image == (10, 20, 30)).all()  # OpenCV gives BGR
    assert {f.index for f in read("1", select=Selection(1, 3), problem=lambda _: None)} <= {1, 2}
    problems: list[EverybodyError] = []
    assert list(read("1", problem=problems.append))[-1].index == 4
    assert "camera:1: gives no picture after 5 frames" in str(problems[0])
    assert count(expand(1)) is None
    assert Camera.released == 3


def test_a_camera_that_was_unplugged_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    class Loose(Camera):
        def __init__(self, number: int) -> None:
            opened.append(number)
            super().__init__(
                number if len(opened) in (1, 3) else 0
            )  # the second time it is not there

    monkeypatch.setattr(cv2, "VideoCapture", Loose)
    monkeypatch.setattr(live, "DELAYS", (0.0, 0.0))
    problems: list[EverybodyError] = []
    dropped: list[int] = []
    frames = list(read(1, problem=problems.append, dropped=dropped.append))
    assert frames[-1].index == 9
    assert len(frames) + sum(dropped) == 10
    assert len(opened) == 5
    assert [frame.time for frame in frames] == sorted(frame.time for frame in frames)
    said = " | ".join(str(problem) for problem in problems)
    assert "trying again" in said
    assert "given up after 10 frames" in said


def test_a_camera_that_is_not_there_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    level = cv2.utils.logging.getLogLevel()
    assert "camera:63: there is no such camera" in line(63)
    assert "camera:63" in line("63")
    assert capfd.readouterr() == ("", "")
    assert cv2.utils.logging.getLogLevel() == level


@pytest.mark.parametrize("number", [-1, 100, 2**31, 10**30])
def test_camera_numbers_that_no_driver_takes(number: int) -> None:
    assert f"camera:{number}: there is no such camera" in line(number)
    if number >= 0:
        assert "there is no such camera" in line(str(number))
    assert "there is no such camera" in line(np.int64(-7))


def test_digits_may_name_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png", 4).rename(tmp_path / "7")
    monkeypatch.chdir(tmp_path)
    assert values("7") == [4]


def test_streams_that_are_no_bytes_or_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", 5)
    closed = open(path, "rb")  # noqa: SIM115 (it is to be closed)
    closed.close()
    assert "closed file" in line(closed)
    (tmp_path / "a.txt").write_text("text")
    with open(tmp_path / "a.txt") as text:
        assert "open it with mode 'rb'" in line(text)
    with io.StringIO("text") as text:
        assert "open it with mode 'rb'" in line(text)
    monkeypatch.setattr(sys, "stdin", None)
    assert "stdin: is closed" in line("-")


def test_pictures_without_pixels() -> None:
    assert "no pixels" in line(Frame(np.zeros((0, 4, 3), np.uint8), source="mine"))
    assert "0 × 5" in line(Image.new("RGB", (0, 5)))
    assert "array" in line(np.zeros((0, 0, 3), np.uint8))


def test_one_frame_and_no_other_number(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 5)
    assert one(path).source == str(path)
    with pytest.raises(InputError, match="no frames"):
        one(iter([]))
    with pytest.raises(OptionError, match="several frames"):
        one([path, path])


def test_what_breaks_in_one_source_is_its_problem_alone(tmp_path: Path) -> None:
    class Broken:
        name = "mine"

        def read(self, size: int) -> bytes:
            raise LookupError("unplugged")

    class Strange:
        def __array__(self, *_: Any, **__: Any) -> np.ndarray:
            raise RuntimeError("on another device")

    problems: list[EverybodyError] = []
    sources = [Broken(), Strange(), save(tmp_path / "a.png", 5)]
    assert values(sources, problem=problems.append) == [5]
    assert str(problems[0]) == "mine: cannot be read any further (LookupError: unplugged)"
    assert "on another device" in str(problems[1])


def test_what_a_callback_raises_is_the_callers(tmp_path: Path) -> None:
    def refuse(error: EverybodyError) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        list(read([tmp_path / "none.png", tmp_path / "none.png"], problem=refuse))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(KeyError, match="enough"):
        list(read(tmp_path / "a.png", problem=refuse))


def test_names_with_colons_and_protocols_are_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "interview.mp4", 3)
    for name in ("10:30.mp4", "concat:interview.mp4", "http:a.mp4", "file:b.mp4", "a|b.mp4"):
        encode(tmp_path / name, 5)
        assert [frame.index for frame in read(name)] == list(range(5))
        assert count(expand(name)) == 5


def test_enormous_files_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, start in (("a.png", b"\x89PNG\r\n\x1a\n"), ("zeros.mp4", b"")):
        with open(tmp_path / name, "wb") as file:
            file.write(start)
            file.truncate(5 * 2**30)  # which takes no place on the disk
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    assert "5120 MB, more than 512 MB" in line(tmp_path / "a.png")
    assert "neither a picture" in line(tmp_path / "zeros.mp4")
