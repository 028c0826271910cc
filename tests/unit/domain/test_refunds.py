"""Parts of invoices: they sum to the whole, tax too, and nobody gets more than was paid."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.invoices import LineKind
from storefront.domain.money import split_minor
from storefront.domain.refunds import (
    BilledLine,
    NothingToRefund,
    Refundable,
    RefundTooHigh,
    Taken,
    refundables,
    spread,
    take,
    unbook,
)


def line(number: int, gross: int, tax: int = 0, **values: object) -> BilledLine:
    kind = LineKind.PLAN if gross >= 0 else LineKind.DISCOUNT
    plain = BilledLine(number, number, kind, f"line {number}", 1, 1, 1, gross, tax)
    return replace(plain, **values)  # type: ignore[arg-type]


@st.composite
def invoices(draw: st.DrawFn) -> list[BilledLine]:
    """Random lines of several rates, each with discounts below it; now and then a change."""
    lines: list[BilledLine] = []
    for _ in range(draw(st.integers(1, 4))):
        gross = draw(st.integers(1, 20000))
        rate = draw(st.sampled_from([0, 7, 19, 25]))
        tax = gross * rate // (100 + rate) + draw(st.integers(0, 1)) * (rate > 0 and gross > 10)
        head = line(len(lines) + 1, gross, tax, subscription_id=draw(st.integers(1, 2)))
        lines.append(head)
        rest = gross
        for _ in range(draw(st.integers(0, 2))):
            off = draw(st.integers(1, max(rest, 1)))
            if off >= rest:
                break
            rest -= off
            lines.append(
                line(
                    len(lines) + 1,
                    -off,
                    -(off * rate // (100 + rate)),
                    lowers=head.position,
                    subscription_id=head.subscription_id,
                )
            )
    if draw(st.booleans()):
        own = sum(one.gross for one in lines if one.subscription_id == lines[0].subscription_id)
        credit = draw(st.integers(1, own))
        lines.append(
            line(len(lines) + 1, -credit, -credit // 10, subscription_id=lines[0].subscription_id)
        )
    return lines


def apply(one: Refundable, taken: list[Taken]) -> Refundable:
    by_line = {part.line_id: part for part in taken}
    members = tuple(
        replace(
            each,
            credited=each.credited + by_line[each.id].gross,
            tax_credited=each.tax_credited + by_line[each.id].tax,
        )
        if each.id in by_line
        else each
        for each in one.members
    )
    return Refundable(members[0], members)


@given(invoices(), st.data())
def test_parts_of_any_split_sum_to_the_whole_and_so_does_their_tax(
    lines: list[BilledLine], data: st.DataObject
) -> None:
    for first in refundables(lines):
        one, paid = first, first.paid
        sums: dict[int, list[int]] = {each.id: [0, 0] for each in one.members}
        went = parts = 0
        while one.left:
            # Six parts at most: cutting down to single cents takes long and shows nothing new.
            amount = data.draw(st.integers(1, one.left)) if parts < 5 else one.left
            parts += 1
            taken = take(one, amount)
            assert sum(part.gross for part in taken) == amount
            for part in taken:
                sums[part.line_id][0] += part.gross
                sums[part.line_id][1] += part.tax
                assert abs(part.tax) <= abs(part.gross)
                assert part.tax * part.gross >= 0
            one = apply(one, taken)
            went += amount
            for each in one.members:
                assert 0 <= each.credited * (1 if each.gross >= 0 else -1) <= abs(each.gross)
        assert went == paid
        for each in one.members:
            assert sums[each.id] == [each.gross, each.tax]


@given(invoices())
def test_the_parts_of_an_invoice_are_all_that_was_paid(lines: list[BilledLine]) -> None:
    found = refundables(lines)

    assert sum(one.paid for one in found) == sum(each.gross for each in lines)
    members = [each.id for one in found for each in one.members]
    assert len(members) == len(set(members))


@given(st.integers(1, 20000), st.integers(0, 3000), st.data())
def test_what_a_change_took_over_is_never_refunded_again(
    gross: int, tax: int, data: st.DataObject
) -> None:
    changed = data.draw(st.integers(0, gross))
    one = refundables([line(1, gross, min(tax, gross), changed=changed)])[0]

    assert one.left == gross - changed
    with pytest.raises(RefundTooHigh):
        take(one, gross - changed + 1)
    if one.left:
        (part,) = take(one, one.left)
        assert (part.gross, 0 <= part.tax <= min(tax, gross)) == (gross - changed, True)


def test_a_discount_goes_back_with_the_line_it_lowers() -> None:
    box, off = line(1, 3000, 479), line(2, -300, -48, lowers=1)
    (one,) = refundables([box, off])

    assert one.left == 2700
    assert take(one, 2700) == [Taken(1, 3000, 479), Taken(2, -300, -48)]


def test_an_upgrade_goes_back_for_what_was_paid_for_it() -> None:
    new = line(1, 5000, 798)
    credit = line(2, -2000, -319, kind=LineKind.PRORATION_CREDIT)
    other = line(3, 500, 80, subscription_id=2)

    first, second = refundables([new, credit, other])

    assert (first.left, second.left) == (3000, 500)
    with pytest.raises(RefundTooHigh):
        take(first, 3001)


def test_what_was_free_cannot_be_refunded() -> None:
    assert refundables([line(1, 3000, 479), line(2, -3000, -479, lowers=1)]) == ()
    with pytest.raises(NothingToRefund):
        take(refundables([line(1, 3000, 479)])[0], 0)


@given(st.integers(1, 9000), st.integers(1, 9), st.data())
def test_pieces_cost_their_share_and_all_pieces_cost_the_line(
    gross: int, quantity: int, data: st.DataObject
) -> None:
    one = refundables([line(1, gross, quantity=quantity)])[0]
    pieces = data.draw(st.integers(1, quantity))

    assert one.of_pieces(quantity) == gross
    assert one.of_pieces(pieces) == sum(split_minor(gross, [1] * quantity)[:pieces])
    with pytest.raises(RefundTooHigh):
        one.of_pieces(quantity + 1)


@given(st.lists(st.integers(0, 5000), max_size=4), st.data())
def test_money_goes_back_on_the_payments_that_carry_it(
    lefts: list[int], data: st.DataObject
) -> None:
    amount = data.draw(st.integers(0, sum(lefts)))
    parts = spread(amount, lefts)

    assert sum(parts) == amount
    assert all(0 <= part <= left for part, left in zip(parts, lefts, strict=True))
    with pytest.raises(RefundTooHigh):
        spread(sum(lefts) + 1, lefts)


@given(st.integers(0, 9000), st.integers(-5, 9000))
def test_what_is_not_earned_goes_first(net: int, deferred: int) -> None:
    first, rest = unbook(net, deferred)

    assert first + rest == net
    assert 0 <= first <= max(deferred, 0)
    assert rest == 0 or first == max(deferred, 0)
