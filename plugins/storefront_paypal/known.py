"""PayPal's ids of what this process has just asked for; a shortcut, never the only way."""

from __future__ import annotations

import threading
from collections import OrderedDict

_MOST = 10_000


class Known:
    """Ids by our reference. The engine stores them too, and hands them to every question."""

    def __init__(self) -> None:
        self._lock, self._ids = threading.Lock(), OrderedDict[str, str]()

    def keep(self, reference: str, number: str) -> None:
        """Remember ``number``, and forget the oldest of too many."""
        with self._lock:
            self._ids[reference] = number
            if len(self._ids) > _MOST:
                self._ids.popitem(last=False)

    def get(self, reference: str) -> str:
        """Return the id of ``reference``, or nothing."""
        with self._lock:
            return self._ids.get(reference, "")
