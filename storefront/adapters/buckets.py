"""Let so many through per second and key, counted in the memory of this process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """A bucket of tokens per key, of which the ones used longest ago are forgotten first.

    Counted here and not in a table: what it keeps out must not cost a write each.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        most_keys: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second, self._burst, self._most = per_second, burst, most_keys
        self._clock, self._lock = clock, threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, cost: float = 1) -> bool:
        """Take ``cost`` tokens; False when the bucket has none left, which takes nothing.

        A cost above what is left empties the bucket below zero: it then fills up first.
        """
        with self._lock:
            now = self._clock()
            bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
            gained = (now - bucket.at) * self._per_second
            bucket.tokens, bucket.at = min(self._burst, bucket.tokens + gained), now
            self._buckets[key] = bucket
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            if bucket.tokens < 1:
                return False
            bucket.tokens -= cost
            return True

    def clear(self) -> None:
        """Forget every key."""
        with self._lock:
            self._buckets.clear()
