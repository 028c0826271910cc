"""Refunds along a chain of changes: all that was paid can go back, never more, tax with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.invoices import LineKind
from storefront.domain.money import split_minor
from storefront.domain.refunds import BilledLine, NothingToRefund, RefundTooHigh, Taken
from storefront.domain.repaying import Part, Source, draw, most_of, offered


def tax_of(gross: int, rate: int) -> int:
    return gross * rate // (100 + rate)


@st.composite
def chains(draw_: st.DrawFn) -> list[Source]:
    """One to four invoices, each taking over a part of what the one before sold."""
    sources: list[Source] = []
    key, before = 0, None
    for number in range(draw_(st.integers(1, 4))):
        rate = draw_(st.sampled_from([0, 7, 19]))
        credit = draw_(st.integers(1, before.gross)) if before else 0
        gross = credit + draw_(st.integers(0 if credit else 1, 9000))
        key += 1
        head = BilledLine(key, 1, LineKind.PLAN, "box", 1, 1, 1, gross, tax_of(gross, rate))
        lines = [head]
        if before:
            old = sources[-1]
            tax = split_minor(before.tax, [credit, before.gross - credit])[0]
            key += 1
            lines.append(
                BilledLine(
                    key,
                    2,
                    LineKind.PRORATION_CREDIT,
                    "before",
                    1,
                    1,
                    1,
                    -credit,
                    -tax,
                    corrects=before.id,
                )
            )
            sources[-1] = replace(old, lines=(replace(before, changed=credit), *old.lines[1:]))
        sources.append(Source(number, tuple(lines), gross - credit))
        before = head
    return sources[::-1]


def apply(sources: list[Source], parts: tuple[Part, ...]) -> list[Source]:
    """Return the invoices as they stand after a refund, as the books keep them."""
    done = []
    by_id = {part.invoice: part for part in parts}
    for source in sources:
        part = by_id.get(source.id, Part(source.id, (), ()))
        taken = {one.line_id: one for one in part.taken}
        released = dict(part.released)
        lines = []
        for line in source.lines:
            one = taken.get(line.id, Taken(line.id, 0, 0))
            lines.append(
                replace(
                    line,
                    credited=line.credited + one.gross,
                    tax_credited=line.tax_credited + one.tax,
                    changed=line.changed - released.get(line.id, 0),
                )
            )
        done.append(Source(source.id, tuple(lines), source.carries - part.total_minor))
    return done


@given(chains(), st.data())
def test_any_split_gives_back_what_was_paid_and_not_a_cent_more(
    sources: list[Source], data: st.DataObject
) -> None:
    worth = sources[0].lines[0].gross
    cash = {one.id: one.carries for one in sources}
    went = dict.fromkeys(cash, 0)
    tax = dict.fromkeys(cash, 0)
    head = sources[0].lines[0].id
    while (left := most_of(sources)) > 0:
        assert offered(sources)[0].left == left
        amount = data.draw(st.integers(1, left))
        parts = draw(sources, {head: amount})
        assert sum(part.total_minor for part in parts) == amount
        for part in parts:
            assert part.total_minor >= 0
            went[part.invoice] += part.total_minor
            tax[part.invoice] += sum(one.tax for one in part.taken)
        sources = apply(sources, parts)
        for source in sources:
            assert source.carries >= 0
            for line in source.lines:
                sign = 1 if line.gross >= 0 else -1
                assert 0 <= sign * line.credited <= abs(line.gross)
                assert line.changed >= 0
                assert line.credited + line.changed <= max(line.gross, 0) or sign < 0
                assert 0 <= sign * line.tax_credited <= abs(line.tax)
    assert sum(went.values()) == worth
    for source in sources:
        assert went[source.id] <= cash[source.id]
    # The refunded invoice has given back exactly its own tax.
    first = sources[0]
    assert tax[first.id] == sum(line.tax for line in first.lines)


@given(chains(), st.data())
def test_a_card_that_carries_less_limits_what_goes_back(
    sources: list[Source], data: st.DataObject
) -> None:
    poorer = [replace(one, carries=data.draw(st.integers(0, one.carries))) for one in sources]
    most = most_of(poorer)
    head = poorer[0].lines[0].id

    assert most <= sum(one.carries for one in poorer)
    if most:
        parts = draw(poorer, {head: most})
        by_id = {one.id: one.carries for one in poorer}
        assert all(part.total_minor <= by_id[part.invoice] for part in parts)
    with pytest.raises(RefundTooHigh):
        draw(poorer, {head: most + 1})


def test_thirty_of_forty_go_back_on_the_first_invoice() -> None:
    old = BilledLine(1, 1, LineKind.PLAN, "Small pot", 1, 1, 1, 4000, 639, changed=3000)
    new = BilledLine(2, 1, LineKind.PRORATION_CHARGE, "Big pot", 1, 2, 1, 4500, 718)
    credit = BilledLine(
        3, 2, LineKind.PRORATION_CREDIT, "Small pot", 1, 1, 1, -3000, -479, corrects=1
    )
    sources = [Source(20, (new, credit), 1500), Source(10, (old,), 4000)]

    upgrade, first = draw(sources, {2: 4500})

    assert upgrade == Part(20, (Taken(3, -3000, -479), Taken(2, 4500, 718)), ())
    assert first == Part(10, (Taken(1, 3000, 479),), ((1, 3000),))
    assert draw(sources, {2: 1500}) == (Part(20, (Taken(2, 1500, 239),), ()),)


def test_a_credit_of_an_unknown_invoice_is_not_drawn_on() -> None:
    new = BilledLine(2, 1, LineKind.PRORATION_CHARGE, "Big pot", 1, 2, 1, 4500, 718)
    credit = BilledLine(
        3, 2, LineKind.PRORATION_CREDIT, "Small pot", 1, 1, 1, -3000, -479, corrects=1
    )

    assert most_of([Source(20, (new, credit), 1500)]) == 1500


@pytest.mark.parametrize("wanted", [{}, {2: 0}, {2: -5}, {9: 5}])
def test_nothing_and_what_is_not_there_cannot_go_back(wanted: dict[int, int]) -> None:
    new = BilledLine(2, 1, LineKind.PLAN, "Big pot", 1, 2, 1, 4500, 718)

    with pytest.raises(NothingToRefund):
        draw([Source(20, (new,), 4500)], wanted)
