"""Which invoices a refund draws on: the one it names, then those a change of plan took over.

An invoice of a change is paid with money and with what was left of earlier invoices. Its
refund gives its own money back first and then, on the earlier invoices, what was taken over
from them, never more than that. Source: docs/decisions/0105-refunds-after-a-change.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from storefront.domain.refunds import (
    BilledLine,
    NothingToRefund,
    Refundable,
    RefundTooHigh,
    Taken,
    refundables,
    take,
    tax_in,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A paid invoice; ``carries`` is the most that goes back of it, in minor units."""

    id: int
    lines: tuple[BilledLine, ...]
    carries: int


@dataclass(frozen=True, slots=True)
class Part:
    """What goes back of one invoice, and (line, minor) that a later change gives up first."""

    invoice: int
    taken: tuple[Taken, ...]
    released: tuple[tuple[int, int], ...]

    @property
    def total_minor(self) -> int:
        return sum(one.gross for one in self.taken)


def offered(sources: Sequence[Source]) -> tuple[Refundable, ...]:
    """Return what can go back of the first of ``sources``; the others are the earlier ones.

    Each as if it alone went back: several together may carry less (``most_of``).
    """
    found = []
    for group in refundables(sources[0].lines):
        desk = _Desk(sources)
        most = desk.draw(group.head.id, max(sum(one.left for one in group.goods), 0))
        found.append(replace(group, moved=max(most - group.own, 0)))
    return tuple(found)


def most_of(sources: Sequence[Source]) -> int:
    """Return how much can go back of the first of ``sources``, all its lines together."""
    desk = _Desk(sources)
    groups = refundables(sources[0].lines)
    worth = {group.head.id: sum(one.left for one in group.goods) for group in groups}
    return sum(desk.draw(key, minor) for key, minor in worth.items() if minor > 0)


def draw(sources: Sequence[Source], wanted: Mapping[int, int]) -> tuple[Part, ...]:
    """Split a refund over invoices: ``wanted`` are minor units by head line of the first.

    The first of ``sources`` comes first in the answer, also where nothing of its own money
    goes back. Raises ``RefundTooHigh`` for more than is left of a line or of all of them,
    ``NothingToRefund`` for nothing.
    """
    heads = {group.head.id: group for group in refundables(sources[0].lines)}
    if not wanted or any(key not in heads or minor <= 0 for key, minor in wanted.items()):
        raise NothingToRefund(invoice=sources[0].id)
    desk = _Desk(sources)
    for key, minor in wanted.items():
        worth = sum(one.left for one in heads[key].goods)
        if minor > worth:
            raise RefundTooHigh(left=max(worth, 0))
        if desk.draw(key, minor) < minor:
            raise RefundTooHigh(left=most_of(sources))
    return desk.parts()


class _Desk:
    """What is left of each invoice while one refund is being split."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._lines = {one.id: list(one.lines) for one in sources}
        self._carries = {one.id: one.carries for one in sources}
        self._source_of = {line.id: one.id for one in sources for line in one.lines}
        self._taken: dict[int, dict[int, Taken]] = {one.id: {} for one in sources}
        self._released: dict[int, list[tuple[int, int]]] = {one.id: [] for one in sources}

    def draw(self, line_id: int, wanted: int, *, is_held: bool = False) -> int:
        """Take up to ``wanted`` of the group of a line and return how much that was.

        ``is_held``: of that very line, which a later change took over and now releases.
        """
        source = self._source_of[line_id]
        group = self._group(source, line_id)
        own = max(min(wanted, group.own, self._carries[source]), 0)
        self._carries[source] -= own
        total = own
        for credit in group.credits:
            part = min(wanted - total, -credit.left)
            if part <= 0 or credit.corrects not in self._source_of:
                continue
            moved = self.draw(credit.corrects, part, is_held=True)
            if moved:
                self._note(source, [Taken(credit.id, -moved, tax_in(credit, -moved))])
            total += moved
        if not total:
            return 0
        if is_held:
            self._release(source, line_id, total)
            goods = self._held(source, line_id)
        else:
            goods = self._group(source, line_id).goods
        self._note(source, take(Refundable(goods[0], goods), total))
        return total

    def parts(self) -> tuple[Part, ...]:
        """Return what was taken of each invoice, the first one first."""
        first = next(iter(self._taken))
        return tuple(
            Part(key, _whole(taken.values()), tuple(self._released[key]))
            for key, taken in self._taken.items()
            if taken or key == first
        )

    def _group(self, source: int, line_id: int) -> Refundable:
        found = refundables(self._lines[source])
        return next(one for one in found if line_id in {each.id for each in one.members})

    def _held(self, source: int, line_id: int) -> tuple[BilledLine, ...]:
        lines = self._lines[source]
        line = next(one for one in lines if one.id == line_id)
        return (line, *(one for one in lines if one.lowers == line.position))

    def _release(self, source: int, line_id: int, minor: int) -> None:
        self._released[source].append((line_id, minor))
        self._lines[source] = [
            replace(one, changed=one.changed - minor) if one.id == line_id else one
            for one in self._lines[source]
        ]

    def _note(self, source: int, taken: Sequence[Taken]) -> None:
        sums = self._taken[source]
        for one in taken:
            before = sums.get(one.line_id, Taken(one.line_id, 0, 0))
            sums[one.line_id] = Taken(one.line_id, before.gross + one.gross, before.tax + one.tax)
        by_line = {one.line_id: one for one in taken}
        self._lines[source] = [
            replace(
                one,
                credited=one.credited + by_line[one.id].gross,
                tax_credited=one.tax_credited + by_line[one.id].tax,
            )
            if one.id in by_line
            else one
            for one in self._lines[source]
        ]


def _whole(taken: Iterable[Taken]) -> tuple[Taken, ...]:
    return tuple(one for one in taken if one.gross)
