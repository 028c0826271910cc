"""Mails before a pause or a trial ends, once each."""

from datetime import UTC, date, datetime
from functools import partial

import pytest
import sqlalchemy as sa

from storefront.mails import compose
from storefront.models import OutboxMessage
from storefront.runtime import Runtime
from storefront.services.finishing import finish_checkout
from storefront.services.outbox import deliver_due
from storefront.services.pauses import pause
from storefront.services.reminders import remind
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, order, paid


def at(clock: FrozenClock, month: int, day: int) -> None:
    clock.set(datetime(2027, month, day, 9, 0, tzinfo=UTC))


def mailed(rt: Runtime, topic: str) -> int:
    found = rt.session.scalar(
        sa.select(sa.func.count()).select_from(OutboxMessage).where(OutboxMessage.topic == topic)
    )
    rt.session.rollback()
    return found or 0


def test_a_week_before_it_goes_on_somebody_who_pauses_is_told_once(rt: Runtime, clock: FrozenClock):
    sub = make.make_subscription(rt)
    pause(rt, sub.customer_id or 0, sub.public_id, date(2027, 5, 12))
    at(clock, 4, 12)
    run_renewals(rt)

    at(clock, 5, 4)
    assert remind(rt).resuming == 0
    at(clock, 5, 5)
    assert remind(rt).resuming == 1
    assert remind(rt).resuming == 0
    assert mailed(rt, "resume_soon") == 1

    pause(rt, sub.customer_id or 0, sub.public_id, date(2027, 6, 12))
    at(clock, 6, 6)
    assert remind(rt).resuming == 1


@pytest.mark.parametrize("has_card", [True, False])
def test_three_days_before_a_trial_ends_it_is_said_what_comes(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, has_card: bool
):
    plan = make.make_plan(rt, trial_days=14, trial_needs_card=has_card)
    key = begin(rt, plan)
    if has_card:
        paid(rt, demo_gateway, key)
    else:
        order(rt, key)
        finish_checkout(rt, key)
    at(clock, 4, 8)
    assert remind(rt).trials == 0
    at(clock, 4, 9)
    assert remind(rt).trials == 1
    assert remind(rt).trials == 0

    deliver_due(rt, partial(compose, rt))

    found = [mail.get_body(("plain",)) for mail in rt.mailer.read()]
    text = "".join(body.get_content() for body in found if body)
    assert ("Add a card" in text) is not has_card
    assert ("first payment" in text) is has_card


def read(rt: Runtime) -> list[str]:
    """Deliver what waits; returns the text of every mail so far, oldest first."""
    deliver_due(rt, partial(compose, rt))
    bodies = [mail.get_body(("plain",)) for mail in rt.mailer.read()]
    return [body.get_content() for body in bodies if body]


def test_a_code_that_pays_the_first_period_moves_the_reminder_to_the_first_that_costs(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    make.make_code(rt, "GIFT", percent=100)
    plan = make.make_plan(rt, trial_days=14)
    make.make_subscription(rt, plan=plan, code="GIFT")
    charged, told = [], []
    for _ in range(80):
        clock.advance(days=1)
        run_renewals(rt)
        remind(rt)
        if any("first payment is taken" in text for text in read(rt)) and not told:
            told.append(rt.today())
        if demo_gateway.bank.executed_count() > len(charged):
            charged.append(rt.today())

    assert told == [date(2027, 5, 9)]
    assert charged[0] == date(2027, 5, 12), "the trial ended on 12 April; the code paid for it"
    [text] = [text for text in read(rt) if "first payment is taken" in text]
    assert "€26.00 on Wed 12 May" in text
    [ending] = [text for text in read(rt) if "Your trial ends on" in text]
    assert "Nothing is charged then" in ending
    assert mailed(rt, "first_charge") == 1


def test_without_a_trial_or_after_the_first_payment_nothing_is_reminded_of(
    rt: Runtime, clock: FrozenClock
):
    make.make_subscription(rt, plan=make.make_plan(rt, trial_days=14))
    for _ in range(80):
        clock.advance(days=1)
        run_renewals(rt)
        remind(rt)
    assert mailed(rt, "trial_ends") == 1
    assert mailed(rt, "first_charge") == 0


def test_a_mail_names_the_next_charge_as_it_will_be(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    make.make_code(rt, "LEMON", duration="forever", percent=10)
    make.make_subscription(rt, plan=make.make_plan(rt), code="LEMON")
    assert "€23.40 on Mon 12 Apr" in " ".join(read(rt))

    at(clock, 4, 12)
    run_renewals(rt)
    assert demo_gateway.bank.executed_total("EUR") == 2 * 2340
    assert "€23.40 on Wed 12 May" in " ".join(read(rt))
