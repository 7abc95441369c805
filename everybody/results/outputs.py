"""What a run writes, and where: the journal, drawings and crops frame by frame, and the formats
that are derived of the journal at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from ..atomic import refused
from ..errors import OptionError, OutputError
from ..media.names import Names
from ..media.write import Overlays, save_crops
from ..messages import Say
from ..people import Frame
from ..skeletons import Skeleton
from .formats import FORMATS, write_all
from .journal import Existing, Journal
from .lines import RUN, Progress, progress, read_run
from .lock import Lock
from .records import encode
from .resume import Known, gaps
from .spatial import Journal3D

Sink = Callable[[Frame], Any]


@dataclass(slots=True)
class Summary:
    """What a run did. seconds counts from the first look at the sources to the last frame."""

    frames: int = 0
    people: int = 0
    seconds: float = 0.0
    dropped: int = 0  # frames of live sources that were left out to stay live
    interrupted: bool = False
    finished: bool = False  # the sources were read to their end
    problems: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "people": self.people,
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(self.frames / self.seconds, 2) if self.seconds else None,
            "dropped": self.dropped,
            "interrupted": self.interrupted,
            "problems": self.problems,
            "files": self.files,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What to write, and where: a folder, or a binary stream that takes the journal's lines alone.

    force: resume a run although it had other options.
    """

    out: Path | IO[bytes]
    formats: Sequence[str] = ()
    images: bool = False
    video: bool = False
    crops: bool = False
    existing: Existing = "refuse"
    force: bool = False
    drawing: dict[str, Any] = field(default_factory=dict)  # options of `draw.draw`, and trails

    def __post_init__(self) -> None:
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise OptionError(f"unknown format '{unknown[0]}': known are {', '.join(FORMATS)}")
        files = self.images or self.video or self.crops or set(self.formats) - {"jsonl"}
        if not isinstance(self.out, Path) and (files or self.existing == "resume"):
            raise OptionError(
                "the journal on stdout stands alone: for other results, or to resume, give a folder"
            )


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the journal that is resumed holds; nothing where none is. lock: of the folder."""

    lock: Lock | None = None
    held: Progress = field(default_factory=Progress)
    known: Known = field(default_factory=lambda: Known({}, None))


def opened(outputs: Outputs, stack: ExitStack, *, say: Say, warn: Say) -> Earlier:
    """The folder, locked until the stack closes, and what it holds."""
    if not isinstance(outputs.out, Path):
        return Earlier()
    lock = stack.enter_context(Lock(outputs.out))
    if outputs.existing != "resume":
        return Earlier(lock)
    held = progress(outputs.out, say=warn)
    for source, index in held.last.items():
        say(f"{source}: going on behind frame {index}")
    if outputs.video:
        for text in gaps(outputs.out / "video", held):
            say(text)
    folder = read_run(outputs.out / RUN).get("folder")
    return Earlier(lock, held, Known(held.last, folder))


@dataclass(frozen=True, slots=True)
class Writing:
    """The outputs of a run that has begun. The stack closes all in order: videos, journal, derived
    formats. Files that are written are noted in the summary.
    """

    outputs: Outputs
    earlier: Earlier
    summary: Summary
    stack: ExitStack
    say: Say

    def sinks(self, skeleton: Skeleton, record: dict[str, Any]) -> list[Sink]:
        """What takes each frame, the journal first. record: what run.json says of the run."""
        out = self.outputs.out
        if not isinstance(out, Path):
            return [partial(_print, out)]
        return [self._journal(out, skeleton, record), *self._overlays(out), *self._crops(out)]

    def spatial(self) -> Sink:
        """What takes the people in space of each frame. Raises OptionError where there is no
        folder.
        """
        if not isinstance(self.outputs.out, Path):
            raise OptionError("people in space need a folder for their journal: give --out FOLDER")
        journal = Journal3D(self.outputs.out, kept=self.earlier.held.frames)
        self.stack.enter_context(closing(journal))
        self.summary.files["jsonl3d"] = str(journal.path)
        return journal.write_frame

    def _journal(self, out: Path, skeleton: Skeleton, record: dict[str, Any]) -> Sink:
        outputs, summary = self.outputs, self.summary
        journal = Journal(
            out,
            skeleton,
            record,
            existing=outputs.existing,
            force=outputs.force,
            lock=self.earlier.lock,
        )
        self.stack.callback(self._derive, out)
        self.stack.callback(lambda: journal.close(finished=summary.finished))
        self.stack.callback(lambda: [journal.problem(text) for text in summary.problems])
        summary.files["jsonl"] = str(journal.path)
        return journal.write

    def _overlays(self, out: Path) -> list[Sink]:
        """Of pictures and of videos, where they are wanted."""
        outputs, sinks = self.outputs, list[Sink]()
        known = list(self.earlier.known) or None
        for name, wanted in (("images", outputs.images), ("video", outputs.video)):
            if wanted:
                video = name == "video"
                overlays = Overlays(
                    out / name, video=video, known=known, say=self.say, **outputs.drawing
                )
                sinks.append(self.stack.enter_context(overlays).write)
                self.summary.files[name] = str(out / name)
        return sinks

    def _crops(self, out: Path) -> list[Sink]:
        if not self.outputs.crops:
            return []
        names = Names()
        for source in self.earlier.known:
            names(source)
        self.summary.files["crops"] = str(out / "crops")
        return [lambda frame: save_crops(frame, out / "crops", names)]

    def _derive(self, out: Path) -> None:
        """Write the other formats from the journal."""
        written = write_all(out, self.outputs.formats, say=self.say)
        self.summary.files.update({name: str(path) for name, path in written.items()})


def _print(out: IO[bytes], frame: Frame) -> None:
    """One line of the journal on a stream, at once."""
    try:
        out.write(encode(frame, named=True))
        out.flush()
    except BrokenPipeError:  # whoever read it has seen enough
        raise
    except OSError as error:
        raise refused("stdout", error) from error
    except ValueError as error:
        raise OutputError(f"stdout: cannot be written ({error}); give an open stream") from error
