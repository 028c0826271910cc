"""Periods that were billed and given up are as if they had never been: nobody paid them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.demo.shopping import replace_card
from storefront.domain.events import EventKind
from storefront.domain.lifecycle import PeriodState, SubscriptionState
from storefront.models import (
    Box,
    Invoice,
    Movement,
    Subscription,
    SubscriptionEvent,
    SubscriptionPeriod,
)
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import invoice_desk
from storefront.services.dunning import chase_due
from storefront.services.invoice_desk import Then
from storefront.services.pauses import resume
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff
from tests.support.days import renew_until

FIRST = date(2027, 4, 12)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


def all_of(rt: Runtime, model: Any) -> list[Any]:
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


def counted(rt: Runtime) -> tuple[int, int]:
    (row,) = all_of(rt, Subscription)
    return row.billed_count, row.boxes_billed


def open_invoice(rt: Runtime) -> str:
    (found,) = [one for one in all_of(rt, Invoice) if one.state == "open"]
    return str(found.public_id)


@pytest.mark.parametrize("close", [invoice_desk.void, invoice_desk.give_up])
def test_a_term_after_a_trial_whose_first_charge_was_given_up_brings_all_its_boxes(
    rt: Runtime, who: Who, clock: FrozenClock, close: Any
) -> None:
    plan = make.make_plan(rt, count=3, trial_days=14, at_term_end="stop")
    sub = make.make_subscription(rt, plan=plan, card="0341")
    renew_until(rt, clock, FIRST)
    assert counted(rt) == (1, 3)

    close(rt, who, open_invoice(rt), Then.GO_ON)

    assert counted(rt) == (0, 0)
    period = all_of(rt, SubscriptionPeriod)[-1]
    assert (period.state, period.billed_number) == (PeriodState.VOID, 0)
    replace_card(rt, sub.customer_id or 0, "4242")
    renew_until(rt, clock, period.end_on)
    assert all_of(rt, Subscription)[0].state == SubscriptionState.ACTIVE
    assert len(all_of(rt, Box)) == 3
    assert counted(rt) == (1, 3)


def test_a_pause_by_the_last_step_of_dunning_spends_no_box_of_the_term(
    rt: Runtime, clock: FrozenClock
) -> None:
    plan = make.make_plan(rt, last_action="pause", retry_days=[1], max_boxes=2)
    sub = make.make_subscription(rt, plan=plan, card="0341")
    renew_until(rt, clock, FIRST)
    while rt.today() < date(2027, 4, 20):
        clock.advance(days=1)
        chase_due(rt)
    (paused,) = all_of(rt, Subscription)
    assert (paused.state, paused.boxes_billed) == (SubscriptionState.PAUSED, 1)

    replace_card(rt, sub.customer_id or 0, "4242")
    renew_until(rt, clock, resume(rt, sub.customer_id or 0, sub.public_id))

    assert all_of(rt, Subscription)[0].state == SubscriptionState.ACTIVE
    assert len(all_of(rt, Box)) == 2


def test_a_pause_by_the_last_step_of_dunning_takes_the_monthly_value(
    rt: Runtime, clock: FrozenClock
) -> None:
    plan = make.make_plan(rt, last_action="pause", retry_days=[1])
    sub = make.make_subscription(rt, plan=plan, card="0341")
    renew_until(rt, clock, FIRST)
    while rt.today() < date(2027, 4, 20):
        clock.advance(days=1)
        chase_due(rt)

    assert all_of(rt, Subscription)[0].mrr_minor == 0
    assert EventKind.SUBSCRIPTION_PAUSED in [one.kind for one in all_of(rt, SubscriptionEvent)]
    replace_card(rt, sub.customer_id or 0, "4242")
    renew_until(rt, clock, resume(rt, sub.customer_id or 0, sub.public_id))
    moved = [(one.kind, one.delta_minor) for one in all_of(rt, Movement)]
    assert moved == [("new", 2185), ("contraction", -2185), ("expansion", 2185)]


def test_a_void_period_whose_box_was_sent_stays_counted(
    rt: Runtime, who: Who, clock: FrozenClock
) -> None:
    plan = make.make_plan(rt, past_due_shipping="ship")
    make.make_subscription(rt, plan=plan, card="0341")
    renew_until(rt, clock, FIRST)
    rt.session.execute(
        sa.update(Box).where(Box.id == all_of(rt, Box)[-1].id).values(state="locked")
    )
    rt.session.commit()

    invoice_desk.void(rt, who, open_invoice(rt), Then.GO_ON)

    assert counted(rt) == (2, 2)
