"""What the routes share."""

from __future__ import annotations

from dataclasses import dataclass, field

from .bodies import Budget
from .jobs import Jobs
from .locks import Locks
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
    editing: Locks = field(default_factory=Locks)
    jobs: Jobs = field(init=False)
    pictures: Budget = field(init=False)
