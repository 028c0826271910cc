"""A prepaid year: two months without boxes inside it, a larger pot from then on, money back."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.invoices import CreditReason
from storefront.domain.lifecycle import EndReason, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.refunds import Afterwards, Way
from storefront.jobs.work import CLOSE_CYCLES, EARN, EXPORT, PLAN_CYCLES, REFUNDS, RENEWALS
from storefront.models import Box, BoxCycle, CreditNote, FulfilmentBatch, Invoice, Plan
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import refunding
from storefront.services.fulfilment import ship_batch
from storefront.services.skips import skip_box
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.scenarios._diary import Diary
from tests.support.admin import make_staff
from tests.support.asking import run_asked
from tests.support.changing import go

#: What a month of this story needs; the whole worker takes four times as long.
JOBS = (PLAN_CYCLES, RENEWALS, REFUNDS, CLOSE_CYCLES, EXPORT, EARN)


@pytest.fixture
def plans(rt: Runtime) -> tuple[Plan, Plan]:
    """Return a year of small pots and one of big ones; one leaves on the 18th of each month."""
    group = make.make_group(rt, cycles=20)
    small = make.make_plan(rt, group=group, amount_minor=4000, unit="year", name="Small pot")
    big = make.make_plan(rt, group=group, amount_minor=6000, unit="year", name="Big pot")
    for each in (small, big):
        make.make_recipe(rt, each)
    return small, big


@pytest.fixture
def diary(rt: Runtime, clock: FrozenClock, plans: tuple[Plan, Plan]) -> Diary:
    return Diary(rt, clock, make.make_subscription(rt, plan=plans[0]))


def wake_on(diary: Diary, day: date) -> None:
    """Let ``day`` come; what was packed by then has left."""
    rt = diary.rt
    rt.session.rollback()
    diary.clock.advance(days=(day - rt.today()).days)
    for job in JOBS:
        assert run_asked(rt, job), f"{job.name} failed on {day}"
    batches = rt.session.scalars(sa.select(FulfilmentBatch.public_id)).all()
    rt.session.rollback()
    for batch in batches:
        ship_batch(rt, batch)


def leave_out(diary: Diary, day: date) -> date | None:
    """Skip the box that leaves on ``day`` and return where it comes instead."""
    rt, sub = diary.rt, diary.subscription
    cycle = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.ship_from == day)).one()
    rt.session.rollback()
    return skip_box(rt, sub.customer_id, sub.public_id, cycle).moved_to_on


def books(diary: Diary) -> dict[str, int]:
    """Return the balances; what is deferred is what the boxes to come are worth, to the cent."""
    rt, balances = diary.rt, diary.balances
    worth = rt.session.scalar(sa.select(sa.func.sum(Box.net_minor)).where(Box.state == "planned"))
    rt.session.rollback()
    assert balances.get("deferred_revenue", 0) == -int(worth or 0)
    assert broken(rt.session) == {}, f"on {rt.today()}"
    rt.session.rollback()
    return balances


def states(diary: Diary) -> list[str]:
    return [state for _day, state in diary.boxes]


def test_a_prepaid_year_with_a_pause_an_upgrade_and_a_refund(
    rt: Runtime, diary: Diary, plans: tuple[Plan, Plan], demo_gateway: DemoGateway
) -> None:
    bank = demo_gateway.bank

    # 2 March. Twelve boxes are paid and none has left: all of it is owed to her.
    assert diary.invoices == [(1, date(2027, 3, 2), 4000, "paid")]
    assert [diary.boxes[0], diary.boxes[-1]] == [
        (date(2027, 3, 18), "planned"),
        (date(2028, 2, 18), "planned"),
    ]
    assert books(diary) == {
        "clearing:demo": 4000,
        "deferred_revenue": -3361,
        "tax_payable": -639,
    }

    # March to May: each box that leaves is a twelfth earned.
    for day, earned in ((3, 281), (4, 561), (5, 841)):
        wake_on(diary, date(2027, day, 20))
        assert books(diary)["revenue"] == -earned
    assert states(diary) == ["shipped"] * 3 + ["planned"] * 9

    # She is away in June and July: those boxes come behind the last one. No money moves.
    assert leave_out(diary, date(2027, 6, 18)) == date(2028, 3, 18)
    assert leave_out(diary, date(2027, 7, 19)) == date(2028, 4, 18)
    before = books(diary)
    wake_on(diary, date(2027, 7, 21))
    assert books(diary) == before
    assert diary.boxes[3] == (date(2027, 8, 18), "planned")
    assert diary.boxes[-1] == (date(2028, 4, 18), "planned")
    wake_on(diary, date(2027, 8, 20))
    assert books(diary)["revenue"] == -1121

    # 20 August: eight of twelve are left. 40.00 of the big pot less 26.66 of the small one.
    quote, done = go(rt, diary.subscription, plans[1])
    assert (quote.credit.minor, quote.due_today.minor, quote.boxes) == (2666, 1334, 8)
    assert done.outcome == "applied"
    assert diary.invoices[1:] == [(2, date(2027, 8, 20), 1334, "paid")]
    assert books(diary) == {
        "clearing:demo": 5334,
        "deferred_revenue": -3361,
        "revenue": -1121,
        "tax_payable": -852,
    }
    for day, earned in ((9, 1541), (10, 1961)):
        wake_on(diary, date(2027, day, 20))
        assert books(diary)["revenue"] == -earned

    # 20 October: she stops. Six of eight boxes are left of 40.00, which two charges paid.
    upgrade = rt.session.scalars(sa.select(Invoice.public_id).where(Invoice.number == 2)).one()
    rt.session.rollback()
    line = refunding.offer(rt, upgrade).lines[0]
    wish = refunding.Wish({line.head.id: 3000}, Way.CARD, CreditReason.REFUND, Afterwards.STOP_NOW)
    shown = refunding.quote_refund(rt, upgrade, wish)
    assert (shown.total.minor, shown.tax.minor, len(shown.canceled)) == (3000, 479, 6)
    assert shown.earlier == ((1, Money(1666, "EUR")),)
    refunding.refund(rt, make_staff(rt), upgrade, wish, shown.quote_hash)
    notes = rt.session.execute(sa.select(CreditNote.total_minor, CreditNote.tax_minor)).all()
    rt.session.rollback()
    assert [tuple(note) for note in notes] == [(1334, 213), (1666, 266)]
    assert states(diary) == ["shipped"] * 6 + ["canceled"] * 6
    assert books(diary) == {
        "clearing:demo": 5334,
        "refunds_due": -3000,
        "revenue": -1961,
        "tax_payable": -373,
    }

    # The bank gives it back the next day. Four small boxes and two big ones were paid.
    wake_on(diary, date(2027, 10, 21))
    left = {"clearing:demo": 2334, "revenue": -1961, "tax_payable": -373}
    assert books(diary) == left
    ended = diary.now()
    assert (ended.state, ended.end_reason) == (SubscriptionState.CANCELED, EndReason.STAFF)

    # Nothing happens any more, also not on the day her year would have begun anew.
    wake_on(diary, date(2028, 6, 21))
    assert books(diary) == left
    assert (bank.executed_count(), len(diary.invoices)) == (2, 2)
    assert diary.periods == [("billed", date(2027, 3, 2), date(2028, 3, 2))]
