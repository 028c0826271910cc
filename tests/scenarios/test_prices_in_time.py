"""Prices that change while somebody subscribes: an introduction, a tax rate, three free boxes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Way
from storefront.jobs.work import EARN, PLAN_CYCLES, REFUNDS, RENEWALS
from storefront.models import Coupon, CreditNote, Invoice, InvoiceLine, Redemption
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import refunding, taxes
from storefront.services.taxes import RateDraft
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.scenarios._diary import Diary
from tests.support.admin import make_staff
from tests.support.asking import run_asked

Live = Callable[[date], None]


@pytest.fixture
def live(rt: Runtime, clock: FrozenClock) -> Live:
    """Let days come, with what is charged on each of them."""

    def until(day: date) -> None:
        while rt.today() < day:
            clock.advance(days=1)
            assert run_asked(rt, RENEWALS)
        for job in (PLAN_CYCLES, REFUNDS, EARN):
            assert run_asked(rt, job)
        rt.session.rollback()
        assert broken(rt.session) == {}, f"on {day}"
        rt.session.rollback()

    return until


def rows(rt: Runtime, *columns: Any) -> list[tuple[Any, ...]]:
    found = rt.session.execute(sa.select(*columns).order_by(columns[0])).all()
    rt.session.rollback()
    return [tuple(row) for row in found]


def test_two_boxes_at_the_introductory_price_then_the_standard_one(
    rt: Runtime, clock: FrozenClock, live: Live, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt, amount_minor=None, group=make.make_group(rt, cycles=12))
    make.make_price(rt, plan, phases=[{"boxes": 2, "amount_minor": 900}])
    ada = Diary(rt, clock, make.make_subscription(rt, plan=plan))
    assert ada.movements == [(date(2027, 3, 2), "new", 756)]

    # The second box is still one of the introduction, charged a month after the first cycle.
    live(date(2027, 4, 12))
    assert [total for _number, _due, total, _state in ada.invoices] == [900, 900]
    assert len(ada.movements) == 1

    # The third costs the standard price, and so does every one after it.
    live(date(2027, 5, 11))
    assert demo_gateway.bank.executed_total("EUR") == 1800
    live(date(2027, 6, 12))
    assert ada.invoices == [
        (1, date(2027, 3, 2), 900, "paid"),
        (2, date(2027, 4, 12), 900, "paid"),
        (3, date(2027, 5, 12), 2600, "paid"),
        (4, date(2027, 6, 12), 2600, "paid"),
    ]
    assert ada.movements == [
        (date(2027, 3, 2), "new", 756),
        (date(2027, 5, 12), "expansion", 1429),
    ]
    # Four boxes, none has left: all that was paid without tax is owed to her.
    assert ada.balances == {
        "clearing:demo": 7000,
        "deferred_revenue": -2 * 756 - 2 * 2185,
        "tax_payable": -2 * 144 - 2 * 415,
    }


def test_a_tax_rate_that_rises_in_the_middle(
    rt: Runtime, clock: FrozenClock, live: Live, demo_gateway: DemoGateway
) -> None:
    who = make_staff(rt)
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=12))
    ada = Diary(rt, clock, make.make_subscription(rt, plan=plan))
    taxes.add_rate(rt, who, RateDraft("DE", "", "standard", Decimal("21"), date(2027, 5, 1)))

    live(date(2027, 6, 12))

    # She pays the same, with more tax in it from the first charge after the change.
    table = Invoice
    assert rows(rt, table.number, table.total_minor, table.tax_minor) == [
        (1, 2600, 415),
        (2, 2600, 415),
        (3, 2600, 451),
        (4, 2600, 451),
    ]
    assert [rate for _id, rate in rows(rt, InvoiceLine.id, InvoiceLine.tax_rate_bp)] == [
        1900,
        1900,
        2100,
        2100,
    ]

    # What goes back of an old invoice, now, goes back with the tax that was in it.
    for number in (2, 3):
        invoice = rt.session.scalars(
            sa.select(Invoice.public_id).where(Invoice.number == number)
        ).one()
        rt.session.rollback()
        line = refunding.offer(rt, invoice).lines[0].head.id
        wish = refunding.Wish({line: 1300}, Way.CARD, CreditReason.REFUND)
        shown = refunding.quote_refund(rt, invoice, wish).quote_hash
        refunding.refund(rt, who, invoice, wish, shown)
    assert [tax for _id, tax in rows(rt, CreditNote.id, CreditNote.tax_minor)] == [208, 226]
    live(date(2027, 6, 13))
    assert ada.balances == {
        "clearing:demo": 4 * 2600 - 2 * 1300,
        "deferred_revenue": -(2 * 2185 + 2 * 2149 - 1092 - 1074),
        "tax_payable": -(2 * 415 + 2 * 451 - 208 - 226),
    }
    assert demo_gateway.bank.executed_count() == 4


def test_a_code_over_everything_for_three_boxes(
    rt: Runtime, clock: FrozenClock, live: Live, demo_gateway: DemoGateway
) -> None:
    bank = demo_gateway.bank
    make.make_code(rt, "THREE", percent=100, duration="cycles", cycles=3, max_uses=1)
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=12))
    ada = Diary(rt, clock, make.make_subscription(rt, plan=plan, code="THREE"))

    # A card is on file from the start, three boxes come, and nothing is charged for them.
    live(date(2027, 5, 12))
    assert [(number, total, state) for number, _due, total, state in ada.invoices] == [
        (1, 0, "paid"),
        (2, 0, "paid"),
        (3, 0, "paid"),
    ]
    assert (bank.executed_count(), len(ada.boxes), ada.balances) == (0, 3, {})
    assert len(rows(rt, Redemption.id)) == 3
    assert rows(rt, Coupon.used) == [(1,)]

    # The fourth costs the full price; the code stays used once, whoever asks for it.
    live(date(2027, 6, 12))
    assert ada.invoices[3:] == [(4, date(2027, 6, 12), 2600, "paid")]
    assert (bank.executed_total("EUR"), len(ada.boxes)) == (2600, 4)
    assert len(rows(rt, Redemption.id)) == 3
    assert ada.movements[-1][1:] == ("expansion", 2185)
