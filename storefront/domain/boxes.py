"""Boxes and the cycles they join: which box, when, and whether the next period pays for one."""

from enum import StrEnum


class BoxState(StrEnum):
    """Where one box is on its way."""

    PLANNED = "planned"
    HELD = "held"
    LOCKED = "locked"
    EXPORTED = "exported"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    LOST = "lost"
    CANCELED = "canceled"


class BoxKind(StrEnum):
    """Why a box exists: paid for by a period, replacing another, or given on top."""

    REGULAR = "regular"
    REPLACEMENT = "replacement"
    EXTRA = "extra"


class CycleState(StrEnum):
    """How far one round of boxes has come."""

    PLANNED = "planned"
    OPEN = "open"
    LOCKED = "locked"
    SHIPPED = "shipped"
    CLOSED = "closed"
