"""What may become of a parcel, and when a box is sent again.

Source: docs/decisions/0145-boxes-that-are-sent-again.md.
"""

from collections.abc import Mapping
from enum import StrEnum

from storefront.domain.boxes import BoxState
from storefront.domain.errors import DomainError

_S = BoxState
#: What staff may note of a box that left: also the other way, as parcels turn up.
OUTCOMES: Mapping[BoxState, frozenset[BoxState]] = {
    _S.SHIPPED: frozenset({_S.DELIVERED, _S.RETURNED, _S.LOST}),
    _S.DELIVERED: frozenset({_S.RETURNED, _S.LOST}),
    _S.RETURNED: frozenset({_S.DELIVERED, _S.LOST}),
    _S.LOST: frozenset({_S.DELIVERED, _S.RETURNED}),
}


class Reason(StrEnum):
    """Why a box is sent again."""

    LOST = "lost"
    RETURNED = "returned"
    DAMAGED = "damaged"
    INCOMPLETE = "incomplete"
    WRONG = "wrong"


#: What each reason says of the first box: it came back, never came, or came and was not right.
_SAYS: Mapping[Reason, BoxState] = {
    Reason.LOST: _S.LOST,
    Reason.RETURNED: _S.RETURNED,
    Reason.DAMAGED: _S.DELIVERED,
    Reason.INCOMPLETE: _S.DELIVERED,
    Reason.WRONG: _S.DELIVERED,
}


class NotReplaceable(DomainError):
    """The box has not left the house, or what the reason says of it cannot be."""

    code = "not_replaceable"


def may_become(now: BoxState, then: BoxState) -> bool:
    """Return whether staff may note that a box in state ``now`` is ``then``."""
    return then in OUTCOMES.get(now, frozenset())


def state_after(now: BoxState, reason: Reason) -> BoxState:
    """Return the state of the first box once another is sent for ``reason``.

    Raises ``NotReplaceable`` for a box that has not left.

    >>> state_after(BoxState.SHIPPED, Reason.LOST).value
    'lost'
    """
    then = _SAYS[reason]
    if now is not then and not may_become(now, then):
        raise NotReplaceable(state=now.value, reason=reason.value)
    return then


def suggested_reason(now: BoxState) -> Reason | None:
    """Return the reason that the state of a box suggests, if any."""
    return {_S.LOST: Reason.LOST, _S.RETURNED: Reason.RETURNED}.get(now)


def pieces_wanted(held: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, int]:
    """Return what goes into the new box: of what the first held, at most as many, something.

    Raises ``NotReplaceable`` for anything else.
    """
    chosen = {key: pieces for key, pieces in wanted.items() if pieces}
    if not chosen or any(not 0 < n <= held.get(key, 0) for key, n in chosen.items()):
        raise NotReplaceable(pieces=dict(wanted))
    return {key: chosen[key] for key in held if key in chosen}
