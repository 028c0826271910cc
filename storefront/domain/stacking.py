"""Put the discounts that fit onto a period: which, in what order, and what their lines say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from storefront.domain.coupons import CouponTerms, choose_discounts
from storefront.domain.recurring import PeriodTerms, RunningDiscount, price_period


def with_discounts(
    terms: PeriodTerms, held: Sequence[CouponTerms], number: int, now: int = 1
) -> PeriodTerms:
    """Return ``terms`` of billed period ``number`` with the discounts that work in it.

    ``held`` are all that the subscription has, with what was left of each when billed
    period ``now`` came next. Where several work their lines say in which place.
    Source: docs/decisions/0080-which-discounts-together.md.
    """
    due = [one for one in held if one.is_due(number, now)]
    if not due:
        return terms
    chosen = choose_discounts(due, lambda some: _worth(terms, some))
    return replace(terms, discounts=_running(chosen))


def _worth(terms: PeriodTerms, some: Sequence[CouponTerms]) -> int:
    lowered = price_period(replace(terms, discounts=_running(some)))
    return sum(off.minor for _, off in lowered.taken)


def _running(chosen: Sequence[CouponTerms]) -> tuple[RunningDiscount, ...]:
    count = len(chosen)
    return tuple(
        RunningDiscount(
            one.ref,
            f"{one.code} ({place}/{count})" if count > 1 else one.code,
            one.discount,
            one.is_recurring,
            one.target,
        )
        for place, one in enumerate(chosen, start=1)
    )
