"""How much of a paid invoice can go back, split to the cent over its lines and their tax.

What lowered a line (a discount, the credit of a change) goes back with it, so nobody gets
more than was paid. Source: docs/decisions/0094-refunds.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from storefront.domain.errors import DomainError
from storefront.domain.invoices import LineKind
from storefront.domain.money import split_minor
from storefront.domain.taxes import tax_of_part

#: Kind of parked work: a done refund of which its gateway does not say whether it stayed.
NO_ANSWER = "look-up"


class NothingToRefund(DomainError):
    """No line was chosen, or nothing of the invoice is left to go back."""

    code = "nothing_to_refund"


class RefundTooHigh(DomainError):
    """More than is ``left`` (minor units) of a line, or of what the way back can carry."""

    code = "refund_too_high"


class RefundChanged(DomainError):
    """What was shown is not what would be done now; show it again."""

    code = "refund_changed"


class WayNotOffered(DomainError):
    """Money cannot go back that way, or that cannot become of the subscription."""

    code = "way_not_offered"


class Way(StrEnum):
    """Where the money goes. ``open``: nobody was asked for it yet, so less is asked for."""

    CARD = "card"
    CREDIT = "credit"
    BANK = "bank"
    OPEN = "open"


class Afterwards(StrEnum):
    """What becomes of the subscriptions the refunded lines belong to."""

    KEEP = "keep"
    PERIOD_END = "period_end"
    STOP_NOW = "stop_now"


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A line of a paid invoice; minor units, ``gross`` has ``tax`` inside.

    ``credited`` and ``tax_credited`` went back by credit notes, ``changed`` is what changes
    of plan took over to later invoices.
    """

    id: int
    position: int
    kind: LineKind
    text: str
    subscription_id: int | None
    period_id: int | None
    quantity: int
    gross: int
    tax: int
    lowers: int | None = None
    credited: int = 0
    tax_credited: int = 0
    changed: int = 0
    #: Of the credit of a change: the line of an earlier invoice that it takes over.
    corrects: int | None = None
    #: Of an add-on; None on lines from before it was kept.
    addon_id: int | None = None

    @property
    def left(self) -> int:
        """What has neither gone back nor been taken over; below zero for a discount."""
        return self.gross - self.credited - self.changed


@dataclass(frozen=True, slots=True)
class Refundable:
    """A line with everything that lowered it; only the whole of it can be refunded in parts.

    ``moved`` is how much of the earlier invoices that its credits of a change took over can
    go back, in minor units.
    """

    head: BilledLine
    members: tuple[BilledLine, ...]
    moved: int = 0

    @property
    def goods(self) -> tuple[BilledLine, ...]:
        """What was sold, with its discounts."""
        return tuple(one for one in self.members if one.kind is not LineKind.PRORATION_CREDIT)

    @property
    def credits(self) -> tuple[BilledLine, ...]:
        """What was paid with earlier invoices."""
        return tuple(one for one in self.members if one.kind is LineKind.PRORATION_CREDIT)

    @property
    def paid(self) -> int:
        return sum(one.gross for one in self.goods)

    @property
    def own(self) -> int:
        """What of it was paid by its own invoice and has not gone back."""
        return max(sum(one.gross - one.credited for one in self.members), 0)

    @property
    def left(self) -> int:
        worth = sum(one.left for one in self.goods)
        return max(min(worth, self.own + self.moved), 0)

    def of_pieces(self, pieces: int) -> int:
        """Return what ``pieces`` of its quantity cost, at most what is left.

        Raises ``RefundTooHigh`` for more pieces than were sold.
        """
        if not 0 < pieces <= self.head.quantity:
            raise RefundTooHigh(left=self.left)
        if pieces == self.head.quantity:
            return self.left
        return min(self.left, sum(split_minor(self.paid, [1] * self.head.quantity)[:pieces]))


@dataclass(frozen=True, slots=True)
class Taken:
    """What a credit note takes back of one line; below zero of a discount."""

    line_id: int
    gross: int
    tax: int


def refundables(lines: Sequence[BilledLine]) -> tuple[Refundable, ...]:
    """Return what can be refunded apart, in the order of the document.

    A discount goes with the line it lowers. What lowers no single line (the credit of a
    change) goes with all lines of its subscription, which then go back together only: first
    what their own invoice was paid, then what ``domain.repaying`` draws on earlier ones.
    """
    groups: dict[int, list[BilledLine]] = {one.position: [one] for one in lines if one.gross >= 0}
    loose = []
    for one in lines:
        if one.gross < 0:
            if one.lowers in groups:
                groups[one.lowers].append(one)
            else:
                loose.append(one)
    for one in loose:
        _join(groups, one)
    found = [Refundable(members[0], tuple(members)) for members in groups.values()]
    return tuple(one for one in found if one.paid > 0)


def _join(groups: dict[int, list[BilledLine]], loose: BilledLine) -> None:
    own = [place for place, each in groups.items() if _same(each[0], loose)] or list(groups)
    if not own:
        return
    first = own[0]
    for place in own[1:]:
        groups[first] += groups.pop(place)
    groups[first].append(loose)


def _same(one: BilledLine, other: BilledLine) -> bool:
    return one.subscription_id == other.subscription_id


def take(one: Refundable, amount: int) -> list[Taken]:
    """Split a refund of ``amount`` minor units over the members of ``one``, with their tax.

    Any split of the whole into parts sums to the whole, line by line, and so does its tax:
    each part is taken from what is left, by largest remainder, and the last part takes the
    rest. Raises ``RefundTooHigh`` for more than is left, ``NothingToRefund`` for nothing.

    >>> box = BilledLine(1, 1, LineKind.PLAN, "Tea", 1, 1, 1, 3000, 479)
    >>> off = BilledLine(2, 2, LineKind.DISCOUNT, "-10 %", 1, 1, 1, -300, -48, lowers=1)
    >>> [(part.line_id, part.gross, part.tax) for part in take(refundables([box, off])[0], 900)]
    [(1, 1000, 160), (2, -100, -16)]
    """
    if amount > one.left:
        raise RefundTooHigh(left=one.left)
    if amount <= 0:
        raise NothingToRefund(line=one.head.id)
    above = [each for each in one.goods if each.left > 0]
    below = [each for each in one.goods if each.left < 0]
    left = sum(each.left for each in one.goods)
    lowered = -sum(each.left for each in below)
    # Half up; never above what lowered it, and all of that with the last part.
    back = (2 * lowered * amount + left) // (2 * left)
    parts = split_minor(amount + back, [each.left for each in above])
    taken = [
        Taken(each.id, part, tax_in(each, part)) for each, part in zip(above, parts, strict=True)
    ]
    if back:
        offs = split_minor(back, [-each.left for each in below])
        taken += [
            Taken(each.id, -part, tax_in(each, -part))
            for each, part in zip(below, offs, strict=True)
        ]
    return [part for part in taken if part.gross]


def tax_in(line: BilledLine, part: int) -> int:
    """Return the tax inside ``part`` of a line; that of a discount is below zero as well."""
    sign = -1 if line.gross < 0 else 1
    gross, tax = sign * line.gross, sign * line.tax
    changed = sign * line.changed
    taken = sign * line.tax_credited + tax_of_part(gross, tax, (0, 0), changed)
    before = sign * line.credited + changed
    share = tax_of_part(gross, tax, (before, taken), sign * part)
    return sign * max(share, 0)


def spread(amount: int, lefts: Sequence[int]) -> list[int]:
    """Return how much of ``amount`` goes back on each payment, the first as far as it goes.

    Raises ``RefundTooHigh`` when they do not carry it all.

    >>> spread(700, [500, 1000])
    [500, 200]
    """
    if amount > sum(lefts):
        raise RefundTooHigh(left=sum(lefts))
    parts = []
    for left in lefts:
        parts.append(min(left, amount))
        amount -= parts[-1]
    return parts


def unbook(net: int, deferred: int) -> tuple[int, int]:
    """Return (from deferred revenue, from revenue) of a refund of ``net`` for one period.

    First what is not earned yet; a refund of a box that left lowers revenue. Below zero is
    what a change had taken over: it waits as deferred for the refund of its own invoice.

    >>> unbook(1000, 300), unbook(1000, 2000), unbook(-500, 0)
    ((300, 700), (1000, 0), (-500, 0))
    """
    if net < 0:
        return net, 0
    first = max(min(net, deferred), 0)
    return first, net - first


def per_period(
    taken: Sequence[Taken], periods: dict[int, int | None]
) -> dict[int | None, tuple[int, int]]:
    """Return (net, tax) of what is taken, by the period its lines pay for."""
    sums: dict[int | None, list[int]] = defaultdict(lambda: [0, 0])
    for one in taken:
        both = sums[periods[one.line_id]]
        both[0] += one.gross - one.tax
        both[1] += one.tax
    return {period: (net, tax) for period, (net, tax) in sums.items()}
