"""Nothing is opened that was not asked for: no lists in disguise, no playlist that leads away."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from everybody.errors import EverybodyError, InputError
from everybody.media import network, trust
from everybody.media.read import Selection, count, expand, read

from .movies import encode, grey
from .servers import moved, serving, whole

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n{}#EXT-X-ENDLIST\n"
STRANGE = Selection(trusted=False)
TRUSTED = Selection(trusted=True)


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(network, "TIMEOUT", 5.0)


def playlist(*names: str) -> str:
    return HLS.format("".join(f"#EXTINF:1,\n{name}\n" for name in names))


def refused(source: Any, select: Selection = Selection()) -> str:  # noqa: B008 (frozen)
    with pytest.raises(InputError) as caught:
        list(read(source, select=select))
    return str(caught.value)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    data = encode(tmp_path / "own" / "a.ts", 5).read_bytes()
    (tmp_path / "other" / "a.ts").write_bytes(data)
    return tmp_path / "own"


def picture(path: Path) -> Path:
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path)
    return path


def test_a_list_is_a_list_by_its_name_or_by_being_called_one(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for name in ("list.txt", "LIST.TXT", "holiday.jpg", "list", "list.csv"):
        (tmp_path / name).write_text("a.png\n")
    for source in (tmp_path / "list.txt", tmp_path / "LIST.TXT", f"@{tmp_path}/holiday.jpg"):
        assert [frame.source for frame in read(source)] == [str(tmp_path / "a.png")]
    for name in ("holiday.jpg", "list", "list.csv"):
        assert "is text" in refused(tmp_path / name)
        assert "@FILE" in refused(tmp_path / name)
    assert "cannot be opened" in refused(f"@{tmp_path}/none")
    picture(tmp_path / "a.png").rename(tmp_path / "@a.png")
    os.chdir(tmp_path)
    assert [frame.source for frame in read("@a.png")] == ["@a.png"]  # a file of that name


def test_a_folder_of_lists_reads_none_of_them(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "b.txt").write_text("a.png\n")
    assert [frame.source for frame in read(tmp_path)] == [str(tmp_path / "a.png")]


def test_handed_lists(shared: Path) -> None:
    assert "is text" in refused(shared / "cases" / "lists" / "list_named.jpg")
    assert "leads out of its own folder" in refused(shared / "cases" / "lists" / "outside.m3u8")


def test_lists_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    picture(tmp_path / "a.png")
    path.write_text("a.png\n" + "none.png\n" * 300)
    problems: list[EverybodyError] = []
    assert len(list(read(path, problem=problems.append))) == 1
    assert len(problems) == 101
    assert "200 more of its lines" in str(problems[-1])
    monkeypatch.setattr("everybody.media.sources.LIST_LINES", 200)
    assert "lists 301 sources" in refused(path)
    monkeypatch.setattr("everybody.media.sources.LIST_BYTES", 2**10)
    assert "more than" in refused(path)


def test_what_strangers_send_leads_nowhere(film: Path, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("a.png\n")
    (film / "a.m3u8").write_text(playlist("a.ts"))
    for source in (
        tmp_path / "list.txt",
        f"@{tmp_path}/list.txt",
        film / "a.m3u8",
        (film / "a.m3u8").read_bytes(),
        "http://127.0.0.1:9/a.png",
        "rtsp://127.0.0.1:9/a",
        0,
        expand(["http://127.0.0.1:9/a.png"]),
    ):
        refused(source, STRANGE)
    data = (film / "a.ts").read_bytes()
    assert len(list(read([film / "a.ts", data, tmp_path / "a.png"], select=STRANGE))) == 11


def test_a_playlist_stays_in_its_folder(film: Path) -> None:
    (film / "below").mkdir()
    (film / "below" / "b.ts").write_bytes((film / "a.ts").read_bytes())
    (film / "link.ts").symlink_to(film.parent / "other" / "a.ts")
    path = film / "a.m3u8"
    path.write_text(playlist("a.ts", "below/b.ts"))
    assert [frame.index for frame in read(path)] == list(range(10))
    assert count(expand(path)) is None
    for name in ("../other/a.ts", str(film.parent / "other" / "a.ts"), "link.ts"):
        path.write_text(playlist(name))
        assert "leads out of its own folder" in refused(path)
    path.write_text(playlist("/etc/passwd"))
    refused(path)
    for name in ("../other/a.ts", "link.ts"):
        path.write_text(playlist(name))
        assert len(list(read(path, select=TRUSTED))) == 5


@pytest.mark.parametrize("name", ["a.ffconcat", "a.mp4", "a.jpg"])
def test_a_list_of_ffmpeg_stays_in_its_folder_whatever_it_is_called(film: Path, name: str) -> None:
    path = film / name
    path.write_text("ffconcat version 1.0\nfile a.ts\nfile a.ts\n")
    frames = list(read(path))
    assert [frame.index for frame in frames] == list(range(10))
    assert np.diff([frame.time for frame in frames]).min() > 0
    for inside in ("../other/a.ts", str(film.parent / "other" / "a.ts"), "http://127.0.0.1:9/a"):
        path.write_text(f"ffconcat version 1.0\nfile '{inside}'\n")
        refused(path)
    path.write_text("ffconcat version 1.0\nfile ../other/a.ts\n")
    assert len(list(read(path, select=TRUSTED))) == 5


def test_playlists_without_a_place_and_ports_are_refused(film: Path) -> None:
    concat = f"ffconcat version 1.0\nfile '{film / 'a.ts'}'\n".encode()
    sdp = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n"
    (film / "a.sdp").write_bytes(sdp)
    (film / "b.mp4").write_bytes(b"\0\n" + sdp)  # which FFmpeg alone would take for SDP
    for source in (concat, sdp, playlist("a.ts").encode()):
        assert "--trust" in refused(source)
    assert "opens ports" in refused(film / "a.sdp")
    assert "neither a picture" in refused(film / "b.mp4")


def test_a_name_with_a_number_in_it_is_one_file(film: Path) -> None:
    broken = b"\xff\xfb" + bytes(64)
    for name in ("a%d.jpg", "a1.jpg", "a[12].png"):
        (film / name).write_bytes(broken)
    picture(film / "a2.png")
    assert "a%d.jpg: " in refused(film / "a%d.jpg")


@pytest.fixture
def strangers(film: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Two servers: the first one's playlists lead to it, to the second, and there by a detour."""
    data = (film / "a.ts").read_bytes()
    with serving({"/a.ts": whole(data)}) as other:
        answers = {
            "/own.m3u8": whole(playlist("a.ts", "a.ts").encode()),
            "/other.m3u8": whole(playlist(f"{other.url}/a.ts").encode()),
            "/detour.m3u8": whole(playlist("moved.ts").encode()),
            "/file.m3u8": whole(playlist(f"file://{film}/a.ts").encode()),
            "/a.ts": whole(data),
            "/moved.ts": moved(f"{other.url}/a.ts"),
        }
        with serving(answers) as site:
            yield site.url, other.url, other.asked


def test_a_playlist_stays_at_its_host(strangers: tuple[str, str, list[str]]) -> None:
    site, _, asked = strangers
    frames = list(read(f"{site}/own.m3u8"))
    assert [frame.index for frame in frames] == list(range(10))
    for name in ("other", "file"):
        assert "leads out of its own host" in refused(f"{site}/{name}.m3u8")
    assert "leads to another host" in refused(f"{site}/detour.m3u8")
    assert asked == []
    assert len(list(read(f"{site}/other.m3u8", select=TRUSTED))) == 5
    assert asked == ["/a.ts"]


def test_playlists_have_an_end(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "PLAYLIST_BYTES", 2**20)
    text = playlist(*["a.ts"] * 100_000)
    (film / "a.m3u8").write_text(text)
    (film / "a.ffconcat").write_text("ffconcat version 1.0\n" + "file a.ts\n" * 200_000)
    with serving({"/a.m3u8": whole(text.encode())}) as site:
        for source in (film / "a.m3u8", film / "a.ffconcat", f"{site.url}/a.m3u8"):
            assert "playlist of more than 1 MB" in refused(source)


def test_a_missing_piece_is_told_and_the_others_are_read(film: Path) -> None:
    data = (film / "a.ts").read_bytes()
    text = playlist("a.ts", "gone.ts", "a.ts")
    (film / "a.m3u8").write_text(text)
    with serving({"/a.m3u8": whole(text.encode()), "/a.ts": whole(data)}) as site:
        for source in (film / "a.m3u8", f"{site.url}/a.m3u8"):
            problems: list[EverybodyError] = []
            assert len(list(read(source, problem=problems.append))) == 10
            assert ["gone.ts" in str(problem) for problem in problems] == [True]


def test_servers_lead_to_no_other_protocol(film: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        port = listening.getsockname()[1]
        answers = {
            "/ftp": moved(f"ftp://127.0.0.1:{port}/a.png"),
            "/file": moved(f"file://{film}/a.ts"),
        }
        with serving(answers) as site:
            for name in answers:
                refused(site.url + name)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_a_playlist_that_stalls_is_given_up(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "STALLED", 0.5)
    monkeypatch.setattr(network, "TIMEOUT", 1.0)
    endless = playlist("a.ts").replace("#EXT-X-ENDLIST\n", "")
    long = encode(film / "long.ts", [grey(i % 40) for i in range(200)]).read_bytes()
    answers = {"/a.m3u8": whole(endless.encode()), "/a.ts": whole(long)}
    with serving(answers) as site:
        problems: list[EverybodyError] = []
        assert len(list(read(f"{site.url}/a.m3u8", problem=problems.append))) >= 190
        assert len(problems) == 1
        assert any(word in str(problems[0]) for word in ("stalls", "timed out"))
        assert len(site.asked) < 10
