"""The queue: jobs wait in SQLite, and so many at a time have a worker process each.

A job that was running when the server ended, however it ended, waits again when the next one
starts, and goes on behind the last frame of its journal.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from ..errors import EverybodyError, InputError
from ..results.lines import progress
from . import derived, places
from .events import Events
from .locks import Locks
from .options import JobOptions
from .process import Work
from .settings import Studio
from .store import Job, Store

QUOTA_EVERY = 5.0  # seconds between two looks at how much the jobs hold


class Conflict(EverybodyError):
    """What was asked for does not go with the state that a job is in."""


class Full(EverybodyError):
    """The jobs hold as much as they may."""


class Jobs:
    def __init__(self, studio: Studio) -> None:
        self.studio, self.events = studio, Events()
        self.store = Store(studio.kept / "jobs.sqlite")
        self.frames = 0  # that all workers have done since the server started
        self._running: dict[str, Work] = {}
        self._ending: set[str] = set()  # to be cancelled, not resumed
        self._making = Locks()
        self._makers = asyncio.Semaphore(1)
        self._wake = asyncio.Event()
        self._closing = False
        self._coming = 0
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- what is asked of it

    def folder(self, job: Job) -> Path:
        return self.studio.kept / "jobs" / job.id

    def root(self, job: Job) -> Path:
        """The folder that the names of its sources are seen from."""
        return self.folder(job) / "inputs" if job.root == "inputs" else self.studio.folder

    def told(self, job: Job) -> dict[str, Any]:
        return job.told(overlay=derived.newest(self.folder(job)).exists())

    def add(self, id: str, sources: list[str], options: JobOptions, root: Any) -> Job:
        """A job of these files, which are there already; blocks while it looks at them. Raises
        InputError where none is a picture or a video.
        """
        folder = self.studio.kept / "jobs" / id
        base = folder / "inputs" if root == "inputs" else self.studio.folder
        kinds = [{"name": name, "kind": places.kind_of(base / name)} for name in sources]
        known = [one for one in kinds if one["kind"] != "other"]
        if not known:
            raise InputError(f"{sources[0]}: is neither a picture nor a video")
        folder.mkdir(parents=True, exist_ok=True)
        more = f" +{len(known) - 1}" if len(known) > 1 else ""
        job = Job(
            id=id,
            name=f"{known[0]['name']}{more}",
            created=int(time.time() * 1000),
            options=options.settled(self.studio.model).given(),
            sources=known,
            root=root,
            problems=[
                f"{one['name']}: is neither a picture nor a video; left out"
                for one in kinds
                if one["kind"] == "other"
            ],
        )
        self.store.add(job)
        return job

    def queued(self, job: Job) -> None:
        """There is a new job."""
        self.events.tell(self.told(job))
        self._wake.set()

    def cancel(self, job: Job) -> Job:
        if job.state == "waiting":
            return self._change(job.id, state="cancelled") or job
        if job.state != "running":
            raise Conflict(f"the job is {job.state}: there is nothing to cancel")
        self._ending.add(job.id)
        if work := self._running.get(job.id):
            work.stop()
        return job

    def resume(self, job: Job) -> Job:
        if job.state in ("waiting", "running"):
            raise Conflict(f"the job is {job.state} already")
        changed = self._change(job.id, state="waiting", error=None)
        self._wake.set()
        return changed or job

    async def remove(self, job: Job) -> None:
        """Stops it and deletes all that is kept of it; what it read in the served folder stays."""
        self.store.remove(job.id)
        if work := self._running.get(job.id):
            work.stop()
            while job.id in self._running:
                await asyncio.sleep(0.05)
        await asyncio.to_thread(shutil.rmtree, self.folder(job), ignore_errors=True)
        self.events.tell({"id": job.id, "state": "deleted"})

    async def made(self, job: Job, task: str, number: int, target: Path, **order: Any) -> Path:
        """What a task of `worker.py` makes of one source, at `target`; in a process of its own if
        it is not there yet. order: what else the task wants to know. Raises InputError.
        """
        async with self._making(target):
            if target.exists():
                return target
            async with self._makers:
                await asyncio.to_thread(self.room)
                said = {"source": job.sources[number]["name"], "target": str(target), **order}
                work = Work(self._order(job, task) | said)
                async with aclosing(work.lines()) as lines:
                    async for _ in lines:
                        pass
        if self.store.get(job.id) is None:  # deleted in the meantime
            await asyncio.to_thread(clear, self.folder(job))
        if error := work.ended().get("error"):
            raise InputError(error)
        return target

    def source(self, job: Job, number: int) -> Path:
        """Where a source is, links followed. Raises InputError where it is gone or elsewhere."""
        return places.inside(self.root(job), job.sources[number]["name"])

    @contextmanager
    def coming(self, bytes: int) -> Iterator[None]:
        """So much is being uploaded."""
        self._coming += bytes
        try:
            yield
        finally:
            self._coming -= bytes

    def room(self) -> None:
        """Blocks while it looks how much all jobs hold. Raises Full where that, and what is being
        uploaded, is more than the quota.
        """
        quota = self.studio.limits.quota
        if places.used(self.studio.kept) + self._coming > quota:
            raise Full(
                f"the jobs would hold more than the {quota / 2**30:.3g} GB they may; delete some"
            )

    # ---- its life

    def start(self) -> None:
        """Take up what an earlier server has left, and begin."""
        known = {job.id for job in self.store.all()}
        for job in self.store.all():
            if job.state == "running":
                self.store.change(job.id, state="waiting")
        (self.studio.kept / "jobs").mkdir(parents=True, exist_ok=True)
        for folder in (self.studio.kept / "jobs").iterdir():
            if folder.name not in known:  # an upload that never came to its end
                shutil.rmtree(folder, ignore_errors=True)
        self._keep(self._serve())

    async def close(self) -> None:
        """Stop all workers; their jobs go on when the next server starts."""
        self._closing = True
        self._wake.set()
        for work in self._running.values():
            work.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.store.close()

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        while not self._closing:
            job = self.store.waiting() if len(self._running) < self.studio.workers else None
            if job is None:
                await self._wake.wait()
                self._wake.clear()
                continue
            try:
                order = await asyncio.to_thread(self._run_order, job)
            except (EverybodyError, OSError) as error:  # its folder is broken
                self._change(job.id, state="failed", error=str(error))
                continue
            found = self.store.get(job.id)
            if found and found.state == "waiting" and not self._closing:  # it may be cancelled
                job = self._change(job.id, state="running") or job
                self._running[job.id] = Work(order)
                self._keep(self._work(job, self._running[job.id]))

    async def _work(self, job: Job, work: Work) -> None:
        """One job from its worker's start to its end."""
        try:
            full = await self._followed(job, work)
            await asyncio.to_thread(self._ended, job, work, full)
        except (EverybodyError, OSError) as error:
            self.store.change(job.id, state="failed", error=str(error))
        finally:
            del self._running[job.id]
            self._ending.discard(job.id)
            self._wake.set()
        if changed := self.store.get(job.id):
            self.events.tell(self.told(changed))

    async def _followed(self, job: Job, work: Work) -> str | None:
        """Keep what a worker tells, until it ends; why it was stopped, if the disk is full."""
        looked, full, done = time.monotonic(), None, job.done
        async with aclosing(work.lines()) as lines:
            async for said in lines:
                told = {name: said[name] for name in ("total", "done", "people") if name in said}
                if told:
                    self.frames += max(0, told.get("done", done) - done)
                    done = told.get("done", done)
                    self._change(job.id, **told)
                if time.monotonic() - looked > QUOTA_EVERY:
                    looked, full = time.monotonic(), full or await self._full()
                    if full:
                        work.stop()
        return full

    async def _full(self) -> str | None:
        try:
            await asyncio.to_thread(self.room)
        except Full as error:
            return str(error)
        return None

    def _ended(self, job: Job, work: Work, full: str | None) -> None:
        """Write down what came of a job."""
        said, held = (
            work.ended(),
            progress(derived.journal(self.folder(job)), say=lambda text: None),
        )
        values: dict[str, Any] = {"done": held.frames, "people": held.people}
        values["problems"] = list(dict.fromkeys([*job.problems, *said.get("problems", [])]))
        if full or "error" in said:
            values |= {"state": "failed", "error": full or said["error"]}
        elif said.get("finished"):
            failed = not held.frames and values["problems"]
            values["state"] = "failed" if failed else "done"
            values["total"] = held.frames
        elif job.id in self._ending:
            values["state"] = "cancelled"
        else:  # stopped, to go on with the next server
            values["state"] = "running" if self._closing else "interrupted"
        self.store.change(job.id, **values)

    def _run_order(self, job: Job) -> dict[str, Any]:
        held = progress(derived.journal(self.folder(job)), say=lambda text: None)
        names = [source["name"] for source in job.sources]
        return self._order(job, "run") | {
            "sources": names,
            "done": [held.frames, held.people],
        }

    def _order(self, job: Job, task: str) -> dict[str, Any]:
        return {
            "task": task,
            "folder": str(self.folder(job)),
            "root": str(self.root(job)),
            "options": job.options,
            "memory": self.studio.limits.memory,
        }

    def _change(self, id: str, **values: Any) -> Job | None:
        job = self.store.change(id, **values)
        if job:
            self.events.tell(self.told(job))
        return job


def new_id() -> str:
    return secrets.token_hex(8)


def clear(folder: Path) -> None:
    """Remove what an upload has left that did not come to its end."""
    if os.path.lexists(folder):
        shutil.rmtree(folder, ignore_errors=True)
