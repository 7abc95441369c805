"""Locks by key that are forgotten when nobody holds or awaits them."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from weakref import WeakValueDictionary


class Locks:
    def __init__(self) -> None:
        self._known: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    def __call__(self, key: Hashable) -> asyncio.Lock:
        lock = self._known.get(key) or asyncio.Lock()
        self._known[key] = lock
        return lock
