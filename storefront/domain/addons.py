"""Things sold beside the boxes of a subscription: how many a period brings, and in which box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from storefront.domain.money import Money, split_minor
from storefront.domain.recurring import SoldBeside

#: Pieces of one add-on that a box may bring.
MOST = 20


class Cadence(StrEnum):
    """How often an add-on comes: with the first box of one period, or with every box."""

    ONCE = "once"
    EVERY = "every"


class Reach(StrEnum):
    """Which boxes that are paid for already something is put into: the next, or each of them."""

    NEXT = "next"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class AddonTerms:
    """An add-on as it was agreed to: ``quantity`` pieces at ``unit`` each time it comes.

    ``unit`` is in the terms of the plan's price (tax inside or not) and ``tax_rate`` that of
    the add-on's own class at the period's tax point. ``ref`` is the caller's name for it.
    """

    text: str
    ref: str
    unit: Money
    quantity: int
    tax_rate: Decimal
    cadence: Cadence
    #: What one piece counts as for delivery.
    grams: int = 0
    #: The add-on its line is for; unlike its name that stays.
    addon_id: int | None = None


def pieces_billed(cadence: Cadence, quantity: int, boxes: int) -> int:
    """Return the pieces of a whole period of ``boxes`` boxes; one without boxes counts as one.

    >>> pieces_billed(Cadence.EVERY, 2, 3), pieces_billed(Cadence.ONCE, 2, 3)
    (6, 2)
    >>> pieces_billed(Cadence.EVERY, 2, 0)
    2
    """
    return quantity * max(boxes, 1) if cadence is Cadence.EVERY else quantity


def pieces_in_box(cadence: Cadence, quantity: int, ordinal: int) -> int:
    """Return the pieces in the ``ordinal``-th box of a period, counted from 1.

    >>> [pieces_in_box(Cadence.ONCE, 2, ordinal) for ordinal in (1, 2, 3)]
    [2, 0, 0]
    """
    return quantity if cadence is Cadence.EVERY or ordinal == 1 else 0


def pieces_of_lines(lines: Sequence[tuple[int, bool]], lying: int, *, is_first: bool) -> list[int]:
    """Return how many of ``lying`` pieces in a box each line brought.

    ``lines`` are (pieces sold for the period, whether they came once); what came once lies in
    the first box. What came with every box is in there in the proportion in which it was sold.
    All 0 where the lines sold fewer.

    >>> pieces_of_lines([(1, True), (6, False)], 3, is_first=True)
    [1, 2]
    >>> pieces_of_lines([(1, True), (6, False), (3, False)], 3, is_first=False)
    [0, 2, 1]
    """
    if len(lines) == 1:
        return [lying if lying <= lines[0][0] else 0]
    found, rest = [0] * len(lines), lying
    for place, (quantity, is_once) in enumerate(lines):
        if is_once and is_first:
            found[place] = min(quantity, rest)
            rest -= found[place]
    weights = [0 if is_once else quantity for quantity, is_once in lines]
    if rest > sum(weights):
        return [0] * len(lines)
    shares = split_minor(rest, weights) if rest else [0] * len(lines)
    return [own + share for own, share in zip(found, shares, strict=True)]


def is_done(cadence: Cadence) -> bool:
    """Return whether an add-on has ended once it was billed."""
    return cadence is Cadence.ONCE


def sold_beside(
    addons: Sequence[AddonTerms], boxes: int, *, is_next: bool = True
) -> tuple[SoldBeside, ...]:
    """Return what is sold beside the plan in a period of ``boxes`` boxes, in the given order.

    ``is_next`` is False for the periods after the next billed one, which bring only what
    comes with every box. Source: docs/decisions/0098-add-ons.md.
    """
    return tuple(
        SoldBeside(
            one.text,
            one.ref,
            one.unit,
            pieces_billed(one.cadence, one.quantity, boxes),
            one.tax_rate,
            one.cadence is Cadence.EVERY,
            one.grams,
            one.addon_id,
        )
        for one in addons
        if is_next or not is_done(one.cadence)
    )
