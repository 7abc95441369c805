"""What the routes share."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from .bodies import Budget
from .jobs import Jobs
from .metrics import Counts
from .pictures import Models
from .settings import Studio


@dataclass(slots=True)
class Parts:
    """jobs and pictures are there while the server runs. editing: a lock for each job whose
    corrections or exports are written. pictures: memory for what POST /api/people holds.
    """

    studio: Studio
    counts: Counts = field(default_factory=Counts)
    models: Models = field(default_factory=Models)
    editing: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
    jobs: Jobs = field(init=False)
    pictures: Budget = field(init=False)
