"""Another method is chosen while a charge of the old one has no answer yet (C-08).

Whatever that answer is: nothing is charged twice, and what stays open is tried with the new
method at the next tick, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront import charges
from storefront.domain.charging import MAX_TRIES_PER_DAY, AnswerStatus, AttemptState
from storefront.domain.gateways import TOO_FAST, ChargeAnswer
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import SubscriptionState
from storefront.mails import compose
from storefront.models import (
    ChargeAttempt,
    Customer,
    DunningCase,
    GatewaySetup,
    Invoice,
    OutboxMessage,
    PaymentMethod,
    Subscription,
)
from storefront.models.base import Base, table_of
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.keys import AnyRow, reserve
from storefront.operations.results import Result
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.dunning import chase_due
from storefront.services.method_changes import set_backup, use_for_one
from storefront.services.methods import begin_card, finish_card
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.paying import waiting_mails

DUE = date(2027, 3, 12)

Change = Callable[[Runtime, DemoGateway], int]


@pytest.fixture(autouse=True)
def invariants(rt: Runtime, demo_gateway: DemoGateway) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}
    assert demo_gateway.bank.double_charges() == []


def rows(rt: Runtime, model: type[Base]) -> list[AnyRow]:
    rt.session.rollback()
    table = table_of(model)
    found = rt.session.execute(sa.select(table).order_by(table.c.id)).all()
    rt.session.rollback()
    return list(found)


def silent(rt: Runtime, clock: FrozenClock, bank: DemoGateway, card: str, fault: str) -> AnyRow:
    """Renew with ``card``; its answer is lost, or the charge never gets there."""
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 1, DUE, card=card)
    clock.advance(days=(DUE - rt.today()).days)
    bank.bank.set_fault(fault)
    run_renewals(rt)
    bank.bank.set_fault(fault, is_on=False)
    [asked] = rows(rt, ChargeAttempt)
    assert asked.state == AttemptState.UNKNOWN
    return asked


def typed(rt: Runtime, bank: DemoGateway, card: str = "4242") -> int:
    """Store ``card`` on the page for cards, as the one that pays from now on."""
    owner = rows(rt, Subscription)[0].customer_id
    away = begin_card(rt, owner, "https://shop.test/account/payment/card")
    bank.bank.choose(away.rpartition("/")[2], card)
    finish_card(rt, owner, rows(rt, GatewaySetup)[-1].public_id, {})
    return int(rows(rt, PaymentMethod)[-1].id)


def another(rt: Runtime, card: str = "4242") -> PaymentMethod:
    owner = rt.session.get(Customer, rows(rt, Subscription)[0].customer_id)
    assert owner is not None
    return make.make_method(rt, owner, card=card, is_default=False)


def for_one(rt: Runtime, bank: DemoGateway) -> int:
    new = another(rt)
    [subscription] = rows(rt, Subscription)
    assert use_for_one(rt, subscription.customer_id, subscription.public_id, new.public_id)
    return int(new.id)


def learn(rt: Runtime, clock: FrozenClock) -> None:
    clock.advance(minutes=6)
    charges.look_up_open(rt)


def asked_with(rt: Runtime) -> list[int | None]:
    """Return the method of each try in order."""
    return [row.payment_method_id for row in rows(rt, ChargeAttempt)]


def ticks(rt: Runtime) -> None:
    for _run in range(3):
        chase_due(rt)


def failures_told(rt: Runtime) -> int:
    return sum(row.topic == "payment_failed" for row in rows(rt, OutboxMessage))


@pytest.mark.parametrize(
    ("card", "fault", "change"),
    [
        ("0341", "lost", typed),
        ("0341", "lost", for_one),
        ("0069", "lost", typed),
        # Nothing got there: asked again with the same key, and refused then.
        ("0341", "down", typed),
        # The bank wants a confirmation that nobody needs any more.
        ("3220", "lost", typed),
    ],
)
def test_what_the_old_card_did_not_pay_is_tried_with_the_new_one_at_the_next_tick_once(
    rt: Runtime,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    card: str,
    fault: str,
    change: Change,
) -> None:
    old = silent(rt, clock, demo_gateway, card, fault)

    new = change(rt, demo_gateway)
    ticks(rt)
    assert asked_with(rt) == [old.payment_method_id]
    learn(rt, clock)
    ticks(rt)

    assert asked_with(rt) == [old.payment_method_id, new]
    assert rows(rt, Invoice)[-1].state == "paid"
    assert rows(rt, Subscription)[0].state == SubscriptionState.ACTIVE
    # The receipt is the one mail: nobody is asked for a card they have just given.
    assert failures_told(rt) == 0
    clock.advance(days=10)
    ticks(rt)
    assert len(asked_with(rt)) == 2


def test_a_try_of_the_old_card_that_was_never_sent_leaves_the_new_one_for_the_next_tick(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    asked = silent(rt, clock, demo_gateway, "0341", "lost")
    learn(rt, clock)
    [case] = rows(rt, DunningCase)
    by_hand = {
        **rows(rt, ChargeAttempt)[0]._mapping,
        "id": reserve(rt.session, ChargeAttempt, 1)[0],
        "public_id": "pay_by_hand",
        "number": asked.number + 1,
        "state": AttemptState.SENT,
        "decline_kind": None,
        "on_session": True,
        "checks": 0,
        "created_at": rt.now(),
        "sent_at": rt.now(),
        "answered_at": None,
    }
    rt.session.execute(sa.insert(table_of(ChargeAttempt)).values(by_hand))
    rt.session.commit()
    clock.advance(minutes=1)
    new = typed(rt, demo_gateway)
    ticks(rt)
    assert asked_with(rt) == [asked.payment_method_id] * 2

    too_fast = ChargeAnswer(AnswerStatus.UNKNOWN, reason=TOO_FAST)
    charges.record(rt, [Result("pay_by_hand", too_fast, is_first=True)])
    assert rows(rt, ChargeAttempt)[-1].state == AttemptState.ABANDONED
    ticks(rt)

    assert rt.now() < case.next_at
    assert asked_with(rt) == [asked.payment_method_id] * 2 + [new]
    assert rows(rt, Invoice)[-1].state == "paid"


def test_what_the_old_card_paid_is_not_charged_to_the_new_one(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    old = silent(rt, clock, demo_gateway, "0408", "lost")

    typed(rt, demo_gateway)
    learn(rt, clock)
    ticks(rt)

    assert asked_with(rt) == [old.payment_method_id]
    assert rows(rt, Invoice)[-1].state == "paid"
    assert rows(rt, DunningCase) == []


def test_a_charge_that_never_arrived_is_planned_with_the_new_card(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    old = silent(rt, clock, demo_gateway, "4242", "down")

    new = typed(rt, demo_gateway)
    # So late that the old key says nothing any more.
    clock.advance(days=40)
    charges.look_up_open(rt)
    charges.send_planned(rt)

    sent = [row for row in rows(rt, ChargeAttempt) if row.sent_at is not None]
    assert [row.payment_method_id for row in sent] == [old.payment_method_id, new]
    assert rows(rt, Invoice)[-1].state == "paid"


def test_a_new_card_that_is_refused_too_is_tried_once_and_leaves_the_schedule(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    old = silent(rt, clock, demo_gateway, "0341", "lost")

    new = typed(rt, demo_gateway, "0341")
    learn(rt, clock)
    ticks(rt)

    assert asked_with(rt) == [old.payment_method_id, new]
    assert failures_told(rt) == 1
    [case] = rows(rt, DunningCase)
    waits = rt.moment().day_of(case.next_at) - rt.today()
    assert (case.step, case.next_action, case.resume_at, waits.days) == (0, "retry", None, 3)


def test_the_new_card_goes_before_the_backup_which_follows_when_it_is_refused(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    old = silent(rt, clock, demo_gateway, "0341", "lost")
    spare = another(rt)
    owner = rows(rt, Subscription)[0].customer_id
    assert set_backup(rt, owner, spare.public_id)

    new = typed(rt, demo_gateway, "0341")
    learn(rt, clock)
    ticks(rt)

    assert asked_with(rt) == [old.payment_method_id, new, spare.id]
    assert rows(rt, Invoice)[-1].state == "paid"


def test_beside_a_try_of_the_schedule_the_step_is_kept(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    old = silent(rt, clock, demo_gateway, "0341", "lost")
    learn(rt, clock)
    clock.advance(days=3)
    demo_gateway.bank.set_fault("lost")
    chase_due(rt)
    demo_gateway.bank.set_fault("lost", is_on=False)
    assert [row.state for row in rows(rt, ChargeAttempt)][-1] == AttemptState.UNKNOWN

    new = typed(rt, demo_gateway, "0341")
    learn(rt, clock)
    ticks(rt)

    assert asked_with(rt) == [old.payment_method_id, old.payment_method_id, new]
    [case] = rows(rt, DunningCase)
    waits = rt.moment().day_of(case.next_at) - rt.today()
    assert (case.step, case.next_action, case.resume_at, waits.days) == (1, "retry", None, 5)


def test_who_stores_a_card_that_may_not_be_asked_yet_is_told_when_it_will_be(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    silent(rt, clock, demo_gateway, "0341", "lost")
    new = typed(rt, demo_gateway)
    [asked] = rows(rt, ChargeAttempt)
    fingerprint = next(row.fingerprint for row in rows(rt, PaymentMethod) if row.id == new)
    # Nine more tries of that card, for the same amount, by another order of the same day.
    make.make_subscription(rt, plan=make.make_plan(rt))
    [theirs] = [row for row in rows(rt, ChargeAttempt) if row.id != asked.id]
    card = ("demo", theirs.account, theirs.payment_method_id, fingerprint, asked.amount_minor)
    for number in range(MAX_TRIES_PER_DAY):
        clock.advance(minutes=1)
        drafts = [AttemptDraft(theirs.invoice_id, number + 2, *card, "EUR")]
        [(key, _ref)] = plan_attempts(rt.session, drafts, rt.moment(), AttemptState.SENT)
        done = {"state": AttemptState.DECLINED, "check_at": None, "answered_at": rt.now()}
        mine = table_of(ChargeAttempt).c.id == key
        rt.session.execute(sa.update(table_of(ChargeAttempt)).where(mine).values(**done))
        rt.session.commit()
    first_sent = rt.now() - timedelta(minutes=MAX_TRIES_PER_DAY - 1)

    learn(rt, clock)
    ticks(rt)

    told = [row for row in rows(rt, OutboxMessage) if row.topic == "payment_waits"]
    assert [row.payload["until"] for row in told] == [(first_sent + timedelta(days=1)).isoformat()]
    assert failures_told(rt) == 0
    [mail] = [compose(rt, one) for one in waiting_mails(rt, "payment_waits")]
    rt.session.rollback()
    assert mail is not None
    assert "to your new card" in mail.text
    clock.advance(days=1)
    charges.send_planned(rt)
    assert rows(rt, Invoice)[0].state == InvoiceState.PAID
    ticks(rt)
    assert [row.topic for row in rows(rt, OutboxMessage)].count("payment_waits") == 1
