"""The boxes of an open order: change one, add another, take one off again. Nothing is paid here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any

from storefront.database import retrying
from storefront.domain.baskets import MOST_BOXES
from storefront.operations.checkout import (
    Market,
    change_checkout,
    expires_at,
    find_checkout,
    read_order,
)
from storefront.operations.continuing import is_continuing
from storefront.operations.keys import AnyRow
from storefront.operations.order_items import BoxWish, next_ref, wishes_of
from storefront.runtime import Runtime

#: How often a change is tried anew when another tab wrote the order meanwhile.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class BoxChoice:
    """What is chosen for one box; ``addons`` as ``checkout.addons`` has them."""

    plan_id: int
    price_id: int
    options: Mapping[str, str] = field(default_factory=dict)
    addons: Sequence[Mapping[str, Any]] = ()


class Changed(StrEnum):
    """What became of a change to the boxes of an order."""

    DONE = "done"
    #: The order is being paid, is paid or has run out.
    CLOSED = "closed"
    #: There is no such box (any more).
    GONE = "gone"
    FULL = "full"
    #: It cannot be paid together with the others: another currency or tax.
    APART = "apart"
    #: Something else changed the order since it was shown: a second click, or another tab.
    STALE = "stale"


def change_box(rt: Runtime, key: str, choice: BoxChoice, ref: str = "") -> Changed:
    """Take another interval, other options or add-ons for a box of the same plan.

    GONE when the box is of another plan by now, which another tab has put in its place.
    Raises ``LookupError`` for an unknown order.
    """

    def change(_row: AnyRow, wishes: Sequence[BoxWish]) -> Sequence[BoxWish] | Changed:
        if not any((one.ref, one.plan_id) == (ref, choice.plan_id) for one in wishes):
            return Changed.GONE
        return [
            replace(
                one,
                price_id=choice.price_id,
                options=dict(choice.options),
                addons=[dict(each) for each in choice.addons],
            )
            if one.ref == ref
            else one
            for one in wishes
        ]

    return _change(rt, key, change)


def add_box(rt: Runtime, key: str, choice: BoxChoice, shown: int) -> Changed:
    """Put one more box into the order, if it can be paid together with the others.

    ``shown`` is the ``version`` of the order as it was shown, so that a second click adds none.
    APART for a gift and for what follows one, which are one box by themselves. Raises
    ``LookupError`` for an unknown order.
    """

    def change(row: AnyRow, wishes: Sequence[BoxWish]) -> Sequence[BoxWish] | Changed:
        if row.version != shown:
            return Changed.STALE
        if row.gift or is_continuing(row):
            return Changed.APART
        if len(wishes) >= MOST_BOXES:
            return Changed.FULL
        more = BoxWish(
            choice.plan_id,
            choice.price_id,
            1,
            dict(choice.options),
            [dict(one) for one in choice.addons],
            next_ref(wishes),
        )
        order = read_order(rt.session, row, Market.of(rt.shop), rt.moment(), also=[more])
        if order.items[-1].problem == "gone":
            return Changed.GONE
        if order.problem == "not_together":
            return Changed.APART
        return [*wishes, more]

    return _change(rt, key, change)


def remove_box(rt: Runtime, key: str, ref: str, shown: int) -> Changed:
    """Take a box off the order; the only one stays. ``shown`` as in ``add_box``.

    Raises ``LookupError`` for an unknown order.
    """

    def change(row: AnyRow, wishes: Sequence[BoxWish]) -> Sequence[BoxWish] | Changed:
        if row.version != shown:
            return Changed.STALE
        rest = [one for one in wishes if one.ref != ref]
        return rest if 0 < len(rest) < len(wishes) else Changed.GONE

    return _change(rt, key, change)


_Change = Callable[[AnyRow, Sequence[BoxWish]], Sequence[BoxWish] | Changed]


def _change(rt: Runtime, key: str, change: _Change) -> Changed:
    for _ in range(_TRIES):
        found = retrying(rt.session, partial(_write, rt, key, change))
        if found is not None:
            return found
    raise RuntimeError("the order changed five times while it was written")


def _write(rt: Runtime, key: str, change: _Change) -> Changed | None:
    """Write what ``change`` makes of the boxes; None when somebody else was faster."""
    row = find_checkout(rt.session, key, lock=True)
    if row is None:
        rt.session.rollback()
        raise LookupError(key)
    found: Sequence[BoxWish] | Changed = Changed.CLOSED
    if row.state == "open":
        found = change(row, wishes_of(row))
    if isinstance(found, Changed):
        rt.session.rollback()
        return found
    values = {
        **found[0].as_first(),
        "more": [one.kept() for one in found[1:]],
        "expires_at": expires_at(rt.now()),
    }
    done = change_checkout(rt.session, row, values)
    rt.session.commit()
    return Changed.DONE if done else None
