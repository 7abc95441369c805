"""A camera over a WebSocket: pictures in, people out.

Each connection follows people in a thread of its own. It takes the newest picture when the last one
is answered; pictures that came in between are left out, so the answer is never about the past.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from ..apps.lesson import Lesson
from ..errors import EverybodyError, OptionError
from ..estimator import Estimator
from ..follow import Follow
from ..media import images
from ..people import Frame
from . import lessons
from .metrics import Counts
from .pictures import Models

BUSY, POLICY, FAILED = 1013, 1008, 1011  # codes of RFC 6455
_IDLE = 120.0  # seconds without a picture until a connection is closed


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants to be done with the pictures that follow."""

    model: str
    track: bool = True
    smooth: bool = True
    coach: str = ""  # an exercise, or "auto"; "": no coach

    @classmethod
    def of(cls, said: Any, before: Wish) -> Wish:
        """What a message or an address asks for, the rest as before. Raises OptionError."""
        if not isinstance(said, dict):
            raise OptionError('expected an object, as {"track": true}')
        model = said.get("model", before.model)
        if model not in ("fast", "accurate"):
            raise OptionError(f"unknown model '{str(model)[:40]}': known are fast, accurate")
        coach = said.get("coach", before.coach)
        if not isinstance(coach, str):
            raise OptionError(f"coach '{str(coach)[:40]}': expected the name of an exercise")
        if coach:
            lessons.chosen(coach[:40])
        return cls(
            model,
            _switch(said.get("track", before.track)),
            _switch(said.get("smooth", before.smooth)),
            coach,
        )


def _switch(value: Any) -> bool:
    known = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
    if not isinstance(value, (bool, str)) or value not in known:
        raise OptionError(f"'{str(value)[:40]}': expected true or false")
    return known[value]


@dataclass(frozen=True, slots=True)
class Picture:
    number: int
    data: bytes
    came: float  # by time.perf_counter


class Newest:
    """One place for one picture; a newer one takes it. Between two threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._picture: Picture | None = None
        self.closed = False
        self.dropped = 0

    def put(self, picture: Picture) -> None:
        with self._changed:
            self.dropped += self._picture is not None
            self._picture = picture
            self._changed.notify()

    def take(self) -> Picture | None:
        """The newest picture, once there is one; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._picture is not None or self.closed)
            picture, self._picture = self._picture, None
            return picture

    def close(self) -> None:
        with self._changed:
            self.closed, self._picture = True, None
            self._changed.notify()


class Camera:
    """One connection: `serve` until it ends."""

    def __init__(
        self, socket: WebSocket, models: Models, counts: Counts, wish: Wish, pixels: int
    ) -> None:
        self._socket, self._models, self._counts = socket, models, counts
        self._wish, self._pixels = wish, pixels
        self._lesson: tuple[str, Lesson | None] = "", None  # and what was wished of it
        self._newest, self._begun = Newest(), time.perf_counter()
        self._counted = 0  # pictures left out that the metrics know of
        self._answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(maxsize=2)
        self._loop = asyncio.get_running_loop()

    async def serve(self) -> None:
        worker = threading.Thread(target=self._work, name="everybody-live", daemon=True)
        worker.start()
        answering = asyncio.ensure_future(self._answer())
        try:
            await self._receive()
        except (WebSocketDisconnect, TimeoutError, RuntimeError):
            pass  # gone
        finally:
            self._newest.close()
            answering.cancel()
            await asyncio.to_thread(worker.join)
            with suppress(RuntimeError, WebSocketDisconnect):
                await self._socket.close()

    async def _receive(self) -> None:
        number = 0
        while True:
            async with asyncio.timeout(_IDLE):
                message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                self._newest.put(Picture(number, message["bytes"], time.perf_counter()))
                number += 1
            else:
                try:
                    self._wish = Wish.of(json.loads(message["text"]), self._wish)
                except (EverybodyError, ValueError, RecursionError) as error:
                    await self._socket.send_json({"error": str(error), "frame": None})

    async def _answer(self) -> None:
        while (said := await self._answers.get()) is not None:
            try:
                await self._socket.send_json(said)
            except (RuntimeError, WebSocketDisconnect):
                return
        await self._socket.close(FAILED)

    # ---- in the worker's thread

    def _work(self) -> None:
        """Answer pictures until the connection ends, anew after each change of the wish."""
        waiting: list[Picture] = []
        try:
            self._follow(waiting)
            while waiting:
                self._follow(waiting)
        except EverybodyError as error:  # of the models: pictures have errors of their own
            self._send({"error": str(error), "frame": None})
        finally:
            self._send(None)

    def _follow(self, waiting: list[Picture]) -> None:
        """Answer pictures while the wish stays."""
        wish = self._wish
        if wish.coach != self._lesson[0]:  # other wishes let a lesson go on
            self._lesson = wish.coach, Lesson(lessons.chosen(wish.coach)) if wish.coach else None
        find = _following(self._models(wish.model), wish)
        with closing(find(self._frames(wish, waiting))) as people:
            for frame in people:
                self._tell(frame)

    def _frames(self, wish: Wish, waiting: list[Picture]) -> Iterator[Frame]:
        """Pictures, decoded, while the wish stays; the one that came after a change waits."""
        while (picture := waiting.pop() if waiting else self._newest.take()) is not None:
            if self._wish != wish:
                waiting.append(picture)
                return
            try:
                image = images.decode(picture.data, "the picture", self._pixels)
            except EverybodyError as error:
                self._send({"error": str(error), "frame": picture.number})
                continue
            yield Frame(image, picture.number, picture.came - self._begun, "live")

    def _tell(self, frame: Frame) -> None:
        lesson = self._lesson[1]
        coach = {"coach": lessons.feedback(lesson, frame)} if lesson else {}
        latency = time.perf_counter() - self._begun - frame.time
        dropped = self._newest.dropped
        self._counts.live_frames["answered"] += 1
        self._counts.live_frames["dropped"] += dropped - self._counted
        self._counts.live_seconds += latency
        self._counted = dropped
        width, height = frame.size
        self._send(
            {
                "frame": frame.index,
                "width": width,
                "height": height,
                "people": frame.people.to_dicts(digits=4),
                "latency": round(latency * 1000, 1),
                "dropped": dropped,
                **coach,
            }
        )

    def _send(self, said: dict[str, Any] | None) -> None:
        """Hand an answer to the loop; wait while the client does not read."""
        future = asyncio.run_coroutine_threadsafe(self._answers.put(said), self._loop)
        while not future.done() and not self._newest.closed:
            with suppress(TimeoutError):
                future.result(0.1)
        future.cancel()


def _following(estimator: Estimator, wish: Wish) -> Callable[[Iterator[Frame]], Any]:
    """What finds the people of frames as the wish says."""
    if not wish.track and not wish.smooth:
        return lambda frames: (estimator([frame])[0] for frame in frames)
    follow = Follow(smooth="one-euro" if wish.smooth else None, live=True)
    return lambda frames: follow(estimator, frames)
