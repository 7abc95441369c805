"""The pages hold what they say: examples run, commands parse, links lead somewhere, lines fit."""

from __future__ import annotations

import importlib
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import typer

import everybody
from everybody.cli import app
from everybody.media.images import decode
from tests import movies

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
WIDTH = 100  # of a line of prose, and of what a cell of a table shows

pytestmark = pytest.mark.skipif(
    not DOCS.is_dir(), reason="needs the docs, which the sdist leaves out"
)

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in itertools.chain(
        DOCS.rglob("*.md"), [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    )
    if path.is_file()
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}.*\n|\n(?= {4}))+")
LINK = re.compile(r"!?\[(?:[^\]]*)\]\(([^)\s]+)\)")


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def prose(page: str) -> str:
    """The page without its code; as many lines as before."""

    def blank(found: re.Match[str]) -> str:
        return "\n" * found[0].count("\n")

    return INDENTED.sub(blank, FENCE.sub(blank, text(page)))


def examples() -> Iterator[tuple[str, str]]:
    """(where it is, code) of each Python example."""
    for page in PAGES:
        content = text(page)
        for found in FENCE.finditer(content):
            if found[1] == "python":
                yield f"{page}:{content.count(chr(10), 0, found.start()) + 1}", found[2]


def lines_of_code(page: str) -> list[str]:
    """The lines of a page's code that is not Python; those that a backslash continues as one."""
    content = text(page)
    blocks = [found[2] for found in FENCE.finditer(content) if found[1] != "python"]
    blocks += INDENTED.findall(FENCE.sub("", content))
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").split("\n")]


def commands() -> list[tuple[str, str]]:
    """(page, line) of each command line that begins with `everybody`."""
    return [
        (page, part.strip())
        for page in PAGES
        for line in lines_of_code(page)
        for part in line.split("&&")
        if part.strip().startswith("everybody ")
    ]


def parsed(line: str) -> None:
    """Parse the line as its command would, and run nothing. Raises click's UsageError."""
    name, *words = shlex.split(line, comments=True)
    command, context = typer.main.get_command(app), None
    while True:
        context = command.make_context(name, list(words), parent=context)
        if not hasattr(command, "resolve_command"):
            return
        words = [*context._protected_args, *context.args]  # those of the command of this group
        if not words:
            return
        name, command, words = command.resolve_command(context, words)  # type: ignore[attr-defined]


@pytest.fixture
def media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with the files that the examples name: photo.jpg and match.mp4."""
    picture = decode((ROOT / "examples/class.jpg").read_bytes(), "class.jpg")
    picture = cv2.resize(picture, (320, 2 * (160 * picture.shape[0] // picture.shape[1])))
    cv2.imwrite(str(tmp_path / "photo.jpg"), picture[..., ::-1])
    movies.encode(tmp_path / "match.mp4", [picture] * 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("place", "code"), [pytest.param(*e, id=e[0]) for e in examples()])
@pytest.mark.usefixtures("media")
def test_every_example_runs(place: str, code: str) -> None:
    exec(compile(code, place, "exec"), {"__name__": "example"})


def test_every_command_line_parses() -> None:
    found = commands()
    wrong = []
    for page, line in found:
        try:
            parsed(line)
        except Exception as error:  # any is a mistake of the page
            wrong.append(f"{page}: {line}: {error or type(error).__name__}")
    assert len(found) > 50
    assert not wrong, "\n".join(wrong)


def test_a_wrong_command_line_does_not_parse() -> None:
    for line in (
        "everybody run a.jpg --no-such-flag",
        "everybody walk a.jpg",
        "everybody convert out",
    ):
        with pytest.raises(Exception, match=r"[Nn]o such|Missing"):
            parsed(line)


def targets(page: str) -> Iterator[tuple[Path, str]]:
    """(file, anchor) of each link within the repository."""
    for target in LINK.findall(prose(page)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield (((ROOT / page).parent / path).resolve() if path else ROOT / page), anchor


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    content = FENCE.sub("", path.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", content, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", h)) for h in headings)
    return {h.strip().lower().replace(" ", "-") for h in plain} | set(
        re.findall(r'<a id="([^"]+)"', content)
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for path, anchor in targets(page):
        assert path.exists(), f"{page} links to {path}"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{page} links to {path.name}#{anchor}"


def test_every_page_is_reached_from_the_index_and_is_part_of_the_site() -> None:
    reached, waiting = {"docs/index.md"}, ["docs/index.md"]
    while waiting:
        for path, _ in targets(waiting.pop()):
            name = path.relative_to(ROOT).as_posix()
            if name in PAGES and name not in reached:
                reached.add(name)
                waiting.append(name)
    pages = {page for page in PAGES if page.startswith("docs/")}
    assert pages <= reached, pages - reached

    shown = re.findall(r"[\w/-]+\.md", text("mkdocs.yml").partition("nav:")[2])
    assert sorted(shown) == sorted(page.removeprefix("docs/") for page in pages)


@pytest.mark.parametrize("page", PAGES)
def test_prose_fits_a_line_and_no_cell_is_a_paragraph(page: str) -> None:
    for number, line in enumerate(prose(page).split("\n"), 1):
        if line.startswith("|"):
            shown = LINK.sub(lambda found: found[0].partition("]")[0], line)
            cells = [cell.strip() for cell in shown.split("|")]
            assert max(map(len, cells)) <= WIDTH, f"{page}:{number}: {max(cells, key=len)}"
        elif " " in line.strip():
            assert len(line) <= WIDTH, f"{page}:{number}: {len(line)} characters"


@pytest.mark.parametrize("page", [page for page in PAGES if "/log/" not in page])
def test_files_and_benchmarks_that_a_guide_names_exist(page: str) -> None:
    for name in re.findall(
        r"`((?:everybody|scripts|tests|benchmarks|synthetic)/[\w./]+)", text(page)
    ):
        named = name.rstrip(".")
        assert "NAME" in named or (ROOT / named).exists(), f"{page} names {named}"
    for module in re.findall(r"python -m benchmarks\.(\w+)", text(page)):
        path = ROOT / f"benchmarks/{module}.py"
        assert module == "NAME" or path.is_file(), f"{page} names {module}"


def referred() -> Iterator[tuple[str, list[str]]]:
    """(module, names of it) of each entry of the reference; no names: all."""
    entry = re.compile(r"^::: (\S+)\n(?:    options:\n      members: \[(.*)\])?", re.MULTILINE)
    for page in sorted((DOCS / "reference").glob("*.md")):
        for module, names in entry.findall(page.read_text("utf-8")):
            yield module, [name for name in names.split(", ") if name]


@pytest.mark.parametrize(("module", "names"), list(referred()))
def test_the_reference_lists_what_is_there(module: str, names: list[str]):
    if module.startswith(("everybody.models", "everybody.train")):
        pytest.importorskip("torch")
    there = importlib.import_module(module)
    assert [name for name in names if not hasattr(there, name)] == []


def test_every_public_name_is_in_the_reference():
    listed = {name for _, names in referred() for name in names}
    whole = {module for module, names in referred() if not names}
    lost = {
        name
        for name in set(everybody.__all__) - listed - {"__version__"}
        if getattr(everybody, name).__module__ not in whole
    }
    assert not lost
