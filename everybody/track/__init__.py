"""Tracking: people who keep their ids."""

from .rules import Rules
from .tracker import Tracker

__all__ = ["Rules", "Tracker"]
