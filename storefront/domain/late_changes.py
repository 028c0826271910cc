"""What may still be asked of a box between its cut-off and its export.

Source: docs/decisions/0182-late-changes.md; of contents 0193-late-changes-of-contents.md.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from storefront.domain.boxes import BoxKind, BoxState

#: States of a box that the packers do not have yet.
_IN_THE_HOUSE = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED)


class LateKind(StrEnum):
    """What is asked: another address, not to send the box, or other contents."""

    ADDRESS = "address"
    KEEP_BACK = "keep_back"
    CONTENTS = "contents"


class LateState(StrEnum):
    """How far a wish has come; all but the first are final."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"


def is_in_the_house(state: BoxState, *, has_batch: bool) -> bool:
    """Return whether a box can still be changed: it is in no batch, so in no file."""
    return state in _IN_THE_HOUSE and not has_batch


def kinds_for(
    kind: BoxKind,
    state: BoxState,
    cutoff_on: date,
    today: date,
    *,
    has_batch: bool = False,
    is_gift: bool = False,
) -> tuple[LateKind, ...]:
    """Return what may be asked of a box today; nothing before its cut-off and once exported.

    A box that is kept back is credited to who paid it, so that cannot be asked of a gift, and
    not of a replacement, which nobody paid for. Other contents cost the same, so they can be
    asked for a gift; a replacement holds what was sent before.

    >>> day = date(2027, 3, 11)
    >>> kinds_for(BoxKind.REGULAR, BoxState.LOCKED, day, day)
    ()
    """
    if today <= cutoff_on or not is_in_the_house(state, has_batch=has_batch):
        return ()
    if kind is not BoxKind.REGULAR:
        return (LateKind.ADDRESS,)
    if is_gift:
        return (LateKind.CONTENTS, LateKind.ADDRESS)
    return (LateKind.CONTENTS, LateKind.ADDRESS, LateKind.KEEP_BACK)


def settled(state: LateState, wanted: LateState, *, is_open_box: bool) -> LateState:
    """Return what a wish becomes: the first decision stands, and none reaches an exported box.

    >>> settled(LateState.OPEN, LateState.ACCEPTED, is_open_box=False)
    <LateState.EXPIRED: 'expired'>
    """
    if state is not LateState.OPEN:
        return state
    return wanted if is_open_box else LateState.EXPIRED
