"""The pictures and videos of a folder or a glob, in natural order; the rest is counted and said."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable

from ..errors import InputError
from ..messages import Say
from .content import looked_at

_NAMED = 3  # of what is left out


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts img2 before img10."""
    parts = re.split(r"([0-9]+)", name)
    return [(1, int(part), part) if i % 2 else (0, 0, part) for i, part in enumerate(parts)]


def folder(path: str, say: Say) -> tuple[list[str], list[InputError]]:
    """The pictures and videos of a folder, and what is wrong with it. What is left out is said.

    Names with a leading dot are hidden: macOS leaves a "._photo.jpg" that is no photo next to each
    photo.
    """
    with os.scandir(path) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    below = {entry.name for entry in visible if os.path.isdir(entry.path)}
    members = sorted((entry.path for entry in visible if entry.name not in below), key=natural)
    found, wrong, others = _sorted_out(members)
    if not found and not wrong:
        wrong.append(
            InputError(
                f"{path}: the folder holds no pictures or videos ({len(others)} other files); "
                "subfolders need /**"
            )
        )
        return found, wrong
    left = _others(others)
    left += _counted(sorted(below), "folder, which needs /**", "folders, which need /**")
    if left:
        say(f"{path}: left out {' and '.join(left)}")
    return found, wrong


def matching(pattern: str, say: Say) -> tuple[list[str], list[InputError]]:
    """The same for the files that match a glob; one that matches neither pictures nor videos gives
    all its files, and reading will tell what each is.
    """
    paths = sorted(glob.glob(pattern, recursive=True), key=natural)
    found, wrong, others = _sorted_out(path for path in paths if not os.path.isdir(path))
    if not found and not wrong and not others:
        wrong.append(
            InputError(
                f"{pattern}: no file matches (looked from {os.getcwd()}); "
                "quote the pattern if the shell changes it"
            )
        )
    if not found:
        return others, wrong
    left = _others(others)
    if left:
        say(f"{pattern}: left out {left[0]}")
    return found, wrong


def _sorted_out(paths: Iterable[str]) -> tuple[list[str], list[InputError], list[str]]:
    """Pictures and videos, links that lead nowhere, and other files."""
    found: list[str] = []
    wrong: list[InputError] = []
    others: list[str] = []
    for path in paths:
        if os.path.islink(path) and not os.path.exists(path):
            target = os.readlink(path)
            wrong.append(
                InputError(f"{path}: is a link to '{target}', which is not there; mend the link")
            )
        elif os.path.isfile(path) and looked_at(path):
            found.append(path)
        else:
            others.append(path)
    return found, wrong, others


def _others(paths: list[str]) -> list[str]:
    one, many = "file that is", "files that are"
    return _counted(paths, f"{one} neither picture nor video", f"{many} neither picture nor video")


def _counted(paths: list[str], one: str, many: str) -> list[str]:
    """How many there are, in words, with the names of the first; nothing where there are none."""
    if not paths:
        return []
    names = ", ".join(os.path.basename(path) for path in paths[:_NAMED])
    more = ", …" if len(paths) > _NAMED else ""
    return [f"{len(paths)} {one if len(paths) == 1 else many} ({names}{more})"]
