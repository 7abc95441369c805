"""The container file names what there is: no daemon builds it here, so each part is looked up."""

from __future__ import annotations

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from everybody.web.app import create
from everybody.web.settings import Studio

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = {
    folder: tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]
    for folder in (".", "web")
}


def steps() -> dict[str, list[str]]:
    """Instruction -> what it is given, each time it comes, lines that go on joined."""
    text = (ROOT / "Containerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    out: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, said = line.partition(" ")
        out.setdefault(name, []).append(said)
    return out


def wheels() -> list[str]:
    """What `scripts/build` leaves in dist/, by its names."""
    script = (ROOT / "scripts/build").read_text("utf-8")
    built = re.findall(r"build --wheel --no-isolation --outdir (\S+) (\S+)", script)
    assert [folder for _, folder in built] == list(PROJECTS)
    return [
        f"{out}/{PROJECTS[folder]['name'].replace('-', '_')}-{PROJECTS[folder]['version']}"
        "-py3-none-any.whl"
        for out, folder in built
    ]


def test_its_instructions_are_known():
    known = {"FROM", "COPY", "RUN", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"}
    assert set(steps()) == known


def test_what_it_copies_is_what_is_built():
    pattern, to = steps()["COPY"][0].split()
    assert to == "/wheels/"
    assert all(fnmatch(wheel, pattern) for wheel in wheels())


def test_it_installs_both_wheels_with_extras_that_exist():
    (run,) = steps()["RUN"]
    library, page = re.findall(r"everybody\S*\.whl", run)
    names = [Path(wheel).name for wheel in wheels()]
    for pattern, wanted in ((library, names[0]), (page, names[1])):
        assert [name for name in names if fnmatch(name, pattern)] == [wanted]
    extras = re.findall(r"\)\[([a-z,]+)\]", run)[0].split(",")
    assert set(extras) <= set(PROJECTS["."]["optional-dependencies"])
    assert PROJECTS["web"]["dependencies"][0].startswith("everybody[web]==")


def test_its_python_runs_the_library():
    (image,) = steps()["FROM"]
    version = tuple(map(int, re.findall(r"\d+", image)[:2]))
    minimum = tuple(map(int, re.findall(r"\d+", PROJECTS["."]["requires-python"])))
    assert version >= minimum


def test_it_starts_a_command_that_is_installed_with_flags_that_it_has(capsys):
    from everybody.cli import app

    entry = json.loads(steps()["ENTRYPOINT"][0])
    assert entry[0] in PROJECTS["."]["scripts"]
    app([entry[1], "--help"], standalone_mode=False)
    said = capsys.readouterr().out
    assert all(flag in said for flag in entry if flag.startswith("--"))


def test_its_folder_port_and_check_belong_together(tmp_path):
    """The folder that it serves can be written to; the check asks an open route of its port."""
    found = steps()
    entry = json.loads(found["ENTRYPOINT"][0])
    (volume,), (port,), (user,) = found["VOLUME"], found["EXPOSE"], found["USER"]
    assert volume == entry[2]
    assert entry[entry.index("--port") + 1] == port
    assert f"mkdir {volume} && chown {user} {volume}" in found["RUN"][0]
    address = re.findall(r"http://[\w.]+:(\d+)(/\w+)", found["HEALTHCHECK"][0])[0]
    routes = {getattr(route, "path", "") for route in create(Studio(folder=tmp_path))._app.routes}
    assert address[0] == port
    assert address[1] in routes
