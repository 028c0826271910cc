"""What changing plan, interval, quantity or options inside a paid period costs.

A change *adjusts* the running period, whose days stay as they are, or *restarts* it: its
unused part is credited and a whole new period begins today. Either happens only where the
customer owes something or nothing by it; any other change waits for the next boundary.
Source: docs/decisions/0085-changes-inside-a-period.md and 0009-restart-on-the-first-day.md.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Literal

from storefront.domain.errors import DomainError
from storefront.domain.invoices import LineKind
from storefront.domain.money import Money, split_minor
from storefront.domain.periods import BillingPeriod, Interval
from storefront.domain.pricing import PricedItem, Quote, QuoteLine, quote, with_credits
from storefront.domain.proration import unused_minor, unused_value
from storefront.domain.taxes import Rounding


class NotChangeable(DomainError):
    """Nothing can be changed now; ``params["reason"]`` says why."""

    code = "not_changeable"


class ConsentMissing(DomainError):
    """The change raises the price or changes the interval, and nobody agreed to that."""

    code = "consent_missing"


class QuoteChanged(DomainError):
    """What was shown is not what it would cost now; show it again."""

    code = "quote_changed"


class Policy(StrEnum):
    """How a plan credits what was paid for it when it is left inside a period."""

    BOXES = "boxes"
    DAYS = "days"
    FULL = "full"
    NONE = "none"


When = Literal["now", "restart", "boundary"]
How = Literal["adjust", "restart", "wait"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer wants: None leaves quantity or answers as they are.

    ``when`` "now" is today where that is possible, and the next boundary otherwise;
    "restart" begins a whole period today also where the running one could stay.
    """

    price: str
    quantity: int | None = None
    options: Mapping[str, str] | None = None
    when: When = "now"


@dataclass(frozen=True, slots=True)
class Ending:
    """How long a subscription binds and when it is over by itself, counted from its first box.

    ``least`` 0 binds to nothing, ``most`` None has no last box; ``falls_to`` is what each box
    costs once a term is over that goes on a box at a time.
    """

    least: int = 0
    most: int | None = None
    on: date | None = None
    falls_to: Money | None = None


@dataclass(frozen=True, slots=True)
class ChangeQuote:
    """What a change costs, shown before and booked as shown.

    ``how`` "wait": on ``effective_on`` and nothing now; otherwise today, for ``due_today``.
    ``boxes`` are paid boxes not packed yet that change today. ``asks_consent``: booked only
    with the customer's words to the new price and interval. ``from_credit`` of the customer
    pays first; ``due_today`` is what is left for the card. ``ends`` after the change,
    ``ended`` before it, with ``billed`` boxes so far.
    """

    how: How
    effective_on: date
    plan: str
    interval: Interval
    quantity: int
    amount: Money
    credit: Money
    from_credit: Money
    due_today: Money
    next_charge_on: date
    boxes: int
    asks_consent: bool
    ends: Ending
    ended: Ending
    billed: int
    quote_hash: str

    @property
    def at_once(self) -> bool:
        return self.how != "wait"


@dataclass(frozen=True, slots=True)
class PeriodCost:
    """What each ``interval`` costs: the next one, and ``full`` once no discount is left."""

    interval: Interval
    amount: Money
    full: Money


@dataclass(frozen=True, slots=True)
class Target:
    """What is changed to: price version, plan, quantity, answers, what a period of it costs."""

    price: str
    plan: str
    interval: Interval
    quantity: int
    options: tuple[tuple[str, str], ...]
    amount: Money
    asks_consent: bool
    ends: Ending = Ending()
    ended: Ending = Ending()
    billed: int = 0


def asks_consent(old: PeriodCost, new: PeriodCost) -> bool:
    """Return whether a change is more than the customer agreed to so far.

    That is another interval, or a higher price now or after the discounts.
    """
    dearer = new.amount.minor > old.amount.minor or new.full.minor > old.full.minor
    return dearer or new.interval != old.interval


@dataclass(frozen=True, slots=True)
class PaidLine:
    """What is left of a line that paid for the period: less its discounts and what went back.

    ``gross_minor`` has ``tax_minor`` inside; ``service`` are the days it paid for.
    """

    id: int
    kind: LineKind
    text: str
    gross_minor: int
    tax_minor: int
    tax_rate: Decimal
    service: BillingPeriod


@dataclass(frozen=True, slots=True)
class Unused:
    """What is unused of a period: ``boxes`` not packed of ``of`` its lines pay for; ``on`` today.

    ``worth_minor`` are those boxes' own shares of what was paid; ``given_minor`` went back for
    the others alone, so it lowers their part of the lines, and ``ahead_minor`` for these.
    """

    boxes: int
    of: int
    on: date
    worth_minor: int
    given_minor: int = 0
    ahead_minor: int = 0


@dataclass(frozen=True, slots=True)
class TakenBack:
    """How much of a paid line a change takes back, tax in it."""

    line: PaidLine
    gross_minor: int
    tax_minor: int


def take_back(lines: Sequence[PaidLine], unused: Unused, policy: Policy) -> list[TakenBack]:
    """Return what leaving a plan takes back of the lines that pay for it now.

    By boxes: the boxes not packed of those the lines pay for, cut to whole minor units; by
    days: ``unused_value``; full: everything. Never more than is left of a line, and each
    line with its own share of tax, so refunds and changes together never exceed it.

    >>> year = BillingPeriod(date(2027, 1, 1), date(2028, 1, 1))
    >>> line = PaidLine(1, LineKind.PLAN, "Tea", 4000, 262, Decimal(7), year)
    >>> unused = Unused(9, 12, date(2027, 4, 1), 2997)
    >>> [one.gross_minor for one in take_back([line], unused, Policy.BOXES)]
    [3000]
    """
    lines = [line for line in lines if line.gross_minor > 0]
    whole = sum(line.gross_minor for line in lines)
    if policy == Policy.FULL:
        part = whole
    elif policy == Policy.NONE:
        part = 0
    elif policy == Policy.BOXES:
        paid, worth = whole + unused.given_minor + unused.ahead_minor, unused.worth_minor
        part = paid * unused.boxes // unused.of if unused.of else 0
        if min(part, whole) > worth + unused.of:
            # More than rounding: the lines pay for boxes sent before as well.
            part = worth
        part = max(min(part - unused.ahead_minor, whole), 0)
    else:
        part = sum(_unused_days(line, unused.on) for line in lines)
    if not part:
        return []
    parts = split_minor(part, [line.gross_minor for line in lines])
    return [
        TakenBack(line, minor, _tax_in(line, minor))
        for line, minor in zip(lines, parts, strict=True)
        if minor
    ]


def _unused_days(line: PaidLine, on: date) -> int:
    if on >= line.service.end:
        return 0
    return unused_minor(line.gross_minor, line.service, max(on, line.service.start))


def _tax_in(line: PaidLine, minor: int) -> int:
    if minor == line.gross_minor:
        return line.tax_minor
    return split_minor(line.tax_minor, [minor, line.gross_minor - minor])[0]


def part_of(new: Money, period: BillingPeriod, unused: Unused, boxes: int, policy: Policy) -> Money:
    """Return what the rest of a running period costs on a plan whose whole period costs ``new``.

    ``boxes`` is how many the whole period brings; by boxes is for plans that ship.

    >>> march = BillingPeriod(date(2027, 3, 1), date(2027, 4, 1))
    >>> today, price = Unused(2, 3, date(2027, 3, 11), 0), Money(6200, "EUR")
    >>> [part_of(price, march, today, 4, by).minor for by in (Policy.BOXES, Policy.DAYS)]
    [3100, 4200]
    """
    if policy == Policy.FULL:
        return new
    if policy == Policy.BOXES:
        rest = boxes - unused.boxes
        return Money(split_minor(new.minor, [unused.boxes, rest])[0], new.currency)
    return unused_value(new, period, unused.on)


@dataclass(frozen=True, slots=True)
class Settled:
    """The document of a change made today, and what it takes back of which line."""

    quote: Quote
    credited: tuple[TakenBack, ...]

    @property
    def credit(self) -> Money:
        return Money(sum(one.gross_minor for one in self.credited), self.quote.currency)


def settle(
    taken: Sequence[TakenBack], new: Quote, part: Money, *, rounding: Rounding = "sum"
) -> Settled:
    """Return the document that takes back ``taken`` and charges ``part`` of the price ``new``.

    Discounts of ``new`` are inside the charges they lower, which name them; its sign-up fee
    is not charged. Amounts are gross, so the document reads with tax inside. Its total may
    be below zero; such a change is never invoiced.
    """
    lines = [
        (place, line)
        for place, line in enumerate(new.lines)
        if line.kind not in (LineKind.SIGN_UP_FEE, LineKind.DISCOUNT)
    ]
    lowering: dict[int | None, list[QuoteLine]] = defaultdict(list)
    for line in new.lines:
        if line.kind is LineKind.DISCOUNT:
            lowering[line.lowers].append(line)
    whole = [_gross(line, new) + sum(_gross(o, new) for o in lowering[at]) for at, line in lines]
    parts = split_minor(part.minor, whole) if part.minor else [0] * len(whole)
    charges = quote(
        [
            PricedItem(
                LineKind.PRORATION_CHARGE,
                _named(line.text, [off.text for off in lowering[at]]),
                1,
                Money(minor, new.currency),
                line.tax_rate,
                line.ref,
            )
            for (at, line), minor in zip(lines, parts, strict=True)
        ],
        inclusive=True,
        rounding=rounding,
    )
    return Settled(with_credits(charges, [_credit(one, new.currency) for one in taken]), (*taken,))


def divide(taken: Sequence[TakenBack], part: Money) -> tuple[list[TakenBack], list[TakenBack]]:
    """Return what of ``taken`` pays for ``part``, and what is owed to the customer beyond it.

    For a change that gives back more than it charges: the first makes a document over
    nothing, the second a credit note. Raises ``ValueError`` for a ``part`` above the credit.
    """
    grosses = [one.gross_minor for one in taken]
    if part.minor > sum(grosses):
        raise ValueError(f"{part} is more than what is taken back")
    within, beyond = [], []
    for one, minor in zip(taken, split_minor(part.minor, grosses), strict=True):
        tax = split_minor(one.tax_minor, [minor, one.gross_minor - minor])[0]
        if minor:
            within.append(TakenBack(one.line, minor, tax))
        if minor < one.gross_minor:
            beyond.append(TakenBack(one.line, one.gross_minor - minor, one.tax_minor - tax))
    return within, beyond


def full_price(new: Quote) -> Money:
    """Return what ``new`` costs without its sign-up fee, tax inside."""
    fees = {at for at, line in enumerate(new.lines) if line.kind is LineKind.SIGN_UP_FEE}
    minor = sum(
        _gross(line, new)
        for at, line in enumerate(new.lines)
        if at not in fees and line.lowers not in fees
    )
    return Money(minor, new.currency)


def quote_now(
    subscription: str,
    target: Target,
    settled: Settled,
    how: How,
    days: tuple[date, date],
    boxes: int,
    balance: Money | None = None,
) -> ChangeQuote:
    """Return what a change costs that is made today; ``days`` are today and the next charge.

    ``balance`` is the customer's credit, which pays first.
    """
    total = settled.quote.total
    used = Money(min(balance.minor, total.minor) if balance else 0, total.currency)
    return _quoted(subscription, target, how, days, settled.credit, (total, used), boxes)


def quote_later(subscription: str, target: Target, boundary: date) -> ChangeQuote:
    """Return what a change costs that waits for ``boundary``: nothing until then."""
    zero = Money.zero(target.amount.currency)
    return _quoted(subscription, target, "wait", (boundary, boundary), zero, (zero, zero), 0)


def _quoted(
    subscription: str,
    target: Target,
    how: How,
    days: tuple[date, date],
    credit: Money,
    owed: tuple[Money, Money],
    boxes: int,
) -> ChangeQuote:
    (effective, next_on), (total, used), ends = days, owed, target.ends
    shown = [how, effective.isoformat(), target.price, total.minor, next_on.isoformat(), boxes]
    shown += [target.quantity, target.options, credit.minor, target.amount.minor, subscription]
    shown += [used.minor, ends.least, ends.most, ends.on.isoformat() if ends.on else None]
    shown += [ends.falls_to.minor if ends.falls_to else None]
    return ChangeQuote(
        how,
        effective,
        target.plan,
        target.interval,
        target.quantity,
        target.amount,
        credit,
        used,
        total - used,
        next_on,
        boxes,
        target.asks_consent,
        ends,
        target.ended,
        target.billed,
        sha256(json.dumps(shown).encode()).hexdigest(),
    )


def _credit(one: TakenBack, currency: str) -> QuoteLine:
    amount = Money(-one.gross_minor, currency)
    return QuoteLine(
        LineKind.PRORATION_CREDIT,
        one.line.text,
        1,
        amount,
        amount,
        one.line.tax_rate,
        Money(-one.tax_minor, currency),
        str(one.line.id),
    )


def _gross(line: QuoteLine, new: Quote) -> int:
    return line.amount.minor + (0 if new.inclusive else line.tax.minor)


def _named(text: str, discounts: Sequence[str]) -> str:
    return f"{text} ({', '.join(discounts)})" if discounts else text
