"""What changing the plan or interval inside a paid period costs, and what the customer is shown.

Only the case that restarts a period on its first day is settled now; any other change waits
for the next boundary. Source: docs/decisions/0009-restart-on-the-first-day.md.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256

from storefront.domain.errors import DomainError
from storefront.domain.invoices import LineKind
from storefront.domain.money import Money, split_minor
from storefront.domain.periods import Interval
from storefront.domain.pricing import PricedItem, Quote, QuoteLine, quote


class NotChangeable(DomainError):
    """Nothing can be changed now; ``params["reason"]`` says why."""

    code = "not_changeable"


class ConsentMissing(DomainError):
    """The change raises the price or changes the interval, and nobody agreed to that."""

    code = "consent_missing"


class QuoteChanged(DomainError):
    """What was shown is not what it would cost now; show it again."""

    code = "quote_changed"


@dataclass(frozen=True, slots=True)
class ChangeQuote:
    """What a change costs, shown before and booked as shown.

    ``at_once``: today, for ``due_today``; otherwise on ``effective_on`` and nothing now.
    ``asks_consent``: booked only with the customer's words to the new price and interval.
    """

    at_once: bool
    effective_on: date
    plan: str
    interval: Interval
    amount: Money
    credit: Money
    due_today: Money
    next_charge_on: date
    asks_consent: bool
    quote_hash: str


@dataclass(frozen=True, slots=True)
class PeriodCost:
    """What each ``interval`` costs: the next one, and ``full`` once no discount is left."""

    interval: Interval
    amount: Money
    full: Money


@dataclass(frozen=True, slots=True)
class Target:
    """What is changed to: the price version, its plan's name, and what a period of it costs."""

    price: str
    plan: str
    interval: Interval
    amount: Money
    asks_consent: bool


def asks_consent(old: PeriodCost, new: PeriodCost) -> bool:
    """Return whether a change is more than the customer agreed to so far.

    That is another interval, or a higher price now or after the discounts.
    """
    dearer = new.amount.minor > old.amount.minor or new.full.minor > old.full.minor
    return dearer or new.interval != old.interval


@dataclass(frozen=True, slots=True)
class PaidLine:
    """A line of the invoice that paid the period: key, kind, what it added, tax rate."""

    id: int
    kind: LineKind
    text: str
    gross_minor: int
    tax_rate: Decimal


@dataclass(frozen=True, slots=True)
class Restart:
    """The document of a restart, and how much it takes back of each old line."""

    quote: Quote
    #: (line id, minor units), positive, together what the period cost.
    credited: tuple[tuple[int, int], ...]


def restart(lines: Sequence[PaidLine], new: Quote) -> Restart | None:
    """Return what a restart on the period's first day costs: all new less all paid.

    Nothing of the period was used and no box was packed, so everything paid for it is
    credited, each line at its own tax rate, and the new period is charged in full. Discounts
    paid with are taken off the lines they lowered, by largest remainder; those of ``new`` are
    inside the charges they lower, which name them. The sign-up fee stays paid.
    None when less than nothing would be due: such a change waits for the boundary.
    Amounts are gross, so the document reads with tax inside.
    """
    goods = [
        line for line in lines if line.gross_minor > 0 and line.kind is not LineKind.SIGN_UP_FEE
    ]
    off = -sum(line.gross_minor for line in lines if line.kind is LineKind.DISCOUNT)
    shares = split_minor(off, [line.gross_minor for line in goods]) if off else [0] * len(goods)
    credited = [(line, line.gross_minor - share) for line, share in zip(goods, shares, strict=True)]
    currency = new.currency
    items = [
        PricedItem(
            LineKind.PRORATION_CREDIT,
            line.text,
            1,
            Money(-minor, currency),
            line.tax_rate,
            str(line.id),
        )
        for line, minor in credited
        if minor
    ]
    lowering: dict[int | None, list[QuoteLine]] = defaultdict(list)
    for line in new.lines:
        if line.kind is LineKind.DISCOUNT:
            lowering[line.lowers].append(line)
    items += [
        PricedItem(
            LineKind.PRORATION_CHARGE,
            _named(line.text, [off.text for off in lowering[place]]),
            1,
            sum((_gross(off, new) for off in lowering[place]), start=_gross(line, new)),
            line.tax_rate,
            line.ref,
        )
        for place, line in enumerate(new.lines)
        if line.kind not in (LineKind.SIGN_UP_FEE, LineKind.DISCOUNT)
    ]
    priced = quote(items, inclusive=True)
    if priced.total.minor < 0:
        return None
    return Restart(priced, tuple((line.id, minor) for line, minor in credited))


def quote_now(
    subscription: str, target: Target, restarted: Restart, today: date, next_on: date
) -> ChangeQuote:
    """Return what a change costs that restarts the period today."""
    credit = Money(sum(minor for _, minor in restarted.credited), target.amount.currency)
    due = restarted.quote.total
    return _quoted(subscription, target, (True, today, next_on), credit, due)


def quote_later(subscription: str, target: Target, boundary: date) -> ChangeQuote:
    """Return what a change costs that waits for ``boundary``: nothing until then."""
    zero = Money.zero(target.amount.currency)
    return _quoted(subscription, target, (False, boundary, boundary), zero, zero)


def _quoted(
    subscription: str, target: Target, when: tuple[bool, date, date], credit: Money, due: Money
) -> ChangeQuote:
    at_once, effective, next_on = when
    shown = [at_once, effective.isoformat(), target.price, due.minor, next_on.isoformat()]
    return ChangeQuote(
        at_once,
        effective,
        target.plan,
        target.interval,
        target.amount,
        credit,
        due,
        next_on,
        target.asks_consent,
        sha256(json.dumps([*shown, target.amount.minor, subscription]).encode()).hexdigest(),
    )


def _gross(line: QuoteLine, new: Quote) -> Money:
    return line.amount if new.inclusive else line.amount + line.tax


def _named(text: str, discounts: Sequence[str]) -> str:
    return f"{text} ({', '.join(discounts)})" if discounts else text
