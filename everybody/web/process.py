"""A worker process (`worker.py`) as the server sees it: an order in, lines of progress out."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).resolve().parents[2]
_LINE = 2**20  # bytes of one line of progress
_GRACE = 20.0  # seconds to finish a frame and the journal


class Work:
    """One worker: `lines` starts it and gives what it tells; `ended` says what came of it. What it
    prints as it fails is in FOLDER/worker.log.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._process: asyncio.subprocess.Process | None = None
        self._last: dict[str, Any] = {}
        self._stopped = False

    async def lines(self) -> AsyncGenerator[dict[str, Any], None]:
        process = self._process = await self._start()
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(self._order).encode() + b"\n")
            with suppress(ConnectionError):
                await process.stdin.drain()
            if self._stopped:
                self.stop()
            async for line in process.stdout:
                self._last = json.loads(line)
                yield self._last
            await process.wait()
        finally:
            await self._end(process)

    async def _start(self) -> asyncio.subprocess.Process:
        # -P: the folder it works in may hold files that are named like modules.
        with open(Path(self._order["folder"]) / "worker.log", "wb") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-c",
                "from everybody.web.worker import main; main()",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(PACKAGES)},
                limit=_LINE,
                start_new_session=os.name == "posix",  # Ctrl-C in the terminal is for the server
            )

    def stop(self) -> None:
        """Ask it to end in order."""
        self._stopped = True
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            asyncio.get_running_loop().call_later(_GRACE, self._kill)

    def _kill(self) -> None:
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Nothing is left running, whatever ended the iteration."""
        self._kill()
        await process.wait()

    def ended(self) -> dict[str, Any]:
        """The last that it told, with an "error" where it did not end well."""
        code = self._process.returncode if self._process else None
        if "error" in self._last or code == 0 or self._stopped:
            return self._last
        name = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
        hint = ", as for want of memory" if code == -9 else ""
        return {"error": f"its process ended by itself ({name}{hint}); resume goes on behind it"}
