"""One thing that must hold at any committed instant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """``sql`` selects the rows that break it."""

    id: str
    says: str
    sql: str
