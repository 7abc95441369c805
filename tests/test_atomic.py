"""Files that are whole or not there, and what is said where the system refuses them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from everybody.atomic import refused, replacing, writing
from everybody.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_whole_file_or_folder_takes_its_name_and_a_broken_one_leaves_nothing(tmp_path, kind):
    def fill(part: Path, text: str) -> None:
        if kind == "folder":
            part.mkdir()
        (part / "a" if kind == "folder" else part).write_text(text)

    place = tmp_path / "deep/result"
    for text in ("first", "second"):
        with replacing(place) as part:
            fill(part, text)
    written = place / "a" if kind == "folder" else place
    assert written.read_text() == "second"

    def interrupted() -> None:
        with replacing(place) as part:
            fill(part, "third")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert written.read_text() == "second"
    assert names(place.parent) == ["result"]


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_part_of_the_users_stays(tmp_path, kind):
    mine, other = tmp_path / "result.json.part", tmp_path / "other"
    other.write_text("precious")
    if kind == "file":
        mine.write_text("precious")
    elif kind == "link":
        mine.symlink_to(other)
    else:
        mine.mkdir()
        (mine / "a").write_text("precious")
    with replacing(tmp_path / "result.json") as part:
        part.write_text("{}")
    assert names(tmp_path) == ["other", "result.json", "result.json.part"]
    assert (mine / "a" if kind == "folder" else mine).read_text() == "precious"
    assert other.read_text() == "precious"


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    place = tmp_path / "result"
    with replacing(place) as one:
        one.write_text("one")
        with replacing(place) as other:
            other.write_text("other")
        assert place.read_text() == "other"
    assert place.read_text() == "one"
    assert names(tmp_path) == ["result"]


def test_the_longest_name_that_the_system_takes_is_taken(tmp_path):
    place = tmp_path / ("ä" * 127)  # 254 bytes
    with replacing(place) as part:
        part.write_text("whole")
    assert place.read_text() == "whole"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free space or choose another place"),
        (errno.EDQUOT, "free space or choose another place"),
        (errno.EACCES, "choose a place where you may write, or change its permissions"),
        (errno.EPERM, "choose a place where you may write, or change its permissions"),
        (errno.EROFS, "this file system can only be read: choose another place"),
        (errno.ENAMETOOLONG, "choose a shorter name"),
        (errno.EISDIR, "choose another place"),
        (None, "choose another place"),
    ],
)
def test_the_advice_fits_the_reason(number, advice):
    error = OSError(number, os.strerror(number)) if number else OSError("no more")
    reason = os.strerror(number) if number else "no more"
    assert str(refused("out", error)) == f"out: cannot be written ({reason}); {advice}"
    with pytest.raises(OutputError, match=f"^out: cannot be written .*; {advice}$"), writing("out"):
        raise error


def test_a_reader_who_has_had_enough_is_no_error():
    with pytest.raises(BrokenPipeError), writing("stdout"):
        raise BrokenPipeError
