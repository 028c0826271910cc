"""A gateway that refuses our key, is too fast for us or not there: nothing is lost or chased."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront import sending
from storefront.charges import look_up_open, send_planned
from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import ChargeAnswer, RefundAnswer
from storefront.models import (
    ChargeAttempt,
    Checkout,
    DunningCase,
    GatewayState,
    Invoice,
    ParkedWork,
    Refund,
    Staff,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.services.dunning import chase_due
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.holds import try_again
from storefront.services.methods import Paid, PaymentPartnerSilent, pay_now
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.services.staff import add_staff
from storefront.testing import factories as make
from storefront.testing.population import populate
from tests.support.orders import begin, choose, only, order

DUE, MANY = date(2027, 3, 12), 30
REFUSED = ChargeAnswer(AnswerStatus.UNKNOWN, reason="unauthorized")


@pytest.fixture(autouse=True)
def nothing_is_broken(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def settings(settings):
    return replace(settings, in_flight=2)


@pytest.fixture
def due(rt, clock):
    """30 subscribers whose renewals are due."""
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), MANY, DUE)
    clock.advance(days=(DUE - rt.today()).days)


@pytest.fixture
def asked(demo_gateway, monkeypatch):
    """References of all charges asked for; each answers what ``asked.answer`` says, if it does."""

    class Asked(list):
        answer = None

    seen, real = Asked(), demo_gateway.charge

    def charge(order):
        seen.append(order.reference)
        return seen.answer or real(order)

    monkeypatch.setattr(demo_gateway, "charge", charge)
    return seen


def go_on(rt):
    """Let the owner say that the gateway may be sent to again; returns who that is."""
    email = "owner@shop.example"
    add_staff(rt, email=email, name="Otto", password="kettle on the hob 9", role="owner")
    owner = only(rt, Staff)
    assert try_again(rt, Who(owner.id, owner.public_id), only(rt, ParkedWork).id)
    return owner.public_id


def states(rt):
    found = rt.session.execute(
        sa.select(ChargeAttempt.state, sa.func.count()).group_by(ChargeAttempt.state)
    ).all()
    rt.session.rollback()
    return {AttemptState(state).value: count for state, count in found}


def count(rt, model):
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model))
    rt.session.rollback()
    return found


def test_a_refused_key_stops_sending_at_once_and_chases_nobody(rt, clock, due, asked):
    """G-06: the run is held, a person is told, and no subscription is past due for our fault."""
    asked.answer = REFUSED

    report = run_renewals(rt).charges

    assert len(asked) < 5
    assert (report.declined, report.unknown) == (0, 0)
    assert states(rt) == {"planned": MANY}
    assert count(rt, DunningCase) == 0
    past_due = sa.select(sa.func.count()).where(Subscription.state == "past_due")
    assert rt.session.scalar(past_due) == 0
    assert only(rt, GatewayState).stopped_reason == "unauthorized"
    assert (only(rt, ParkedWork).kind, only(rt, ParkedWork).subject) == ("gateway", "demo")
    assert rt.session.scalars(sa.select(ChargeAttempt.sent_at).distinct()).all() == [None]
    rt.session.rollback()


def test_nothing_is_sent_to_it_until_a_person_says_try_again_then_each_once(
    rt, clock, due, asked, demo_gateway
):
    asked.answer = REFUSED
    run_renewals(rt)
    asked.clear()
    asked.answer = None
    for _day in range(3):
        clock.advance(days=1)
        run_renewals(rt)
        chase_due(rt)
    assert asked == []

    owner = go_on(rt)
    send_planned(rt)

    assert len(asked) == len(set(asked)) == MANY
    assert states(rt) == {"succeeded": MANY}
    assert demo_gateway.bank.executed_count() == MANY
    assert only(rt, ParkedWork).resolved_by == owner


def test_a_certificate_that_is_not_the_gateway_s_stops_it_as_well(rt, due, asked):
    """G-28: the call was refused, so it is still planned."""
    asked.answer = ChargeAnswer(AnswerStatus.UNKNOWN, reason="wrong_certificate")

    run_renewals(rt)

    assert states(rt) == {"planned": MANY}
    assert only(rt, GatewayState).stopped_at is not None


def test_a_key_that_is_refused_at_a_look_up_stops_it_and_the_look_comes_again(
    rt, clock, due, asked, demo_gateway, monkeypatch
):
    asked.answer = ChargeAnswer(AnswerStatus.UNKNOWN, reason="timeout")
    run_renewals(rt)
    assert states(rt) == {"unknown": MANY}
    looked = []

    def lookup(*names):
        looked.append(names)
        return REFUSED

    with monkeypatch.context() as patch:
        patch.setattr(demo_gateway, "lookup", lookup)
        for _hour in range(3):
            clock.advance(hours=1)
            look_up_open(rt)
    assert len(looked) == 1
    asked.answer = None

    go_on(rt)
    clock.advance(hours=1)
    look_up_open(rt)

    assert states(rt) == {"succeeded": MANY}


def test_too_fast_waits_as_long_as_it_was_asked_to_and_counts_no_try(rt, clock, due, asked):
    """G-05."""
    asked.answer = ChargeAnswer(AnswerStatus.UNKNOWN, reason="rate_limited", retry_after=600)
    run_renewals(rt)
    assert states(rt) == {"planned": MANY}
    wait = only(rt, GatewayState).slow_until - rt.now()
    assert timedelta(seconds=600) <= wait <= timedelta(seconds=900)
    asked.clear()
    asked.answer = None
    clock.advance(minutes=9)
    assert send_planned(rt).settled == 0
    assert asked == []

    clock.advance(minutes=7)

    assert send_planned(rt).settled == MANY
    numbers = rt.session.scalars(sa.select(ChargeAttempt.number).distinct()).all()
    rt.session.rollback()
    assert numbers == [1]


def test_no_pause_is_longer_than_an_hour_and_a_half(rt, due, asked):
    asked.answer = ChargeAnswer(AnswerStatus.UNKNOWN, reason="rate_limited", retry_after=10**6)

    run_renewals(rt)

    assert only(rt, GatewayState).slow_until - rt.now() <= timedelta(minutes=90)


def test_an_order_that_never_left_is_sent_again_with_its_key(rt, clock, due, asked):
    asked.answer = ChargeAnswer(AnswerStatus.UNKNOWN, reason="not_sent")
    run_renewals(rt)
    first = list(asked)
    asked.clear()
    asked.answer = None

    clock.advance(minutes=1)
    send_planned(rt)

    assert set(first) <= set(asked)
    assert len(asked) == len(set(asked)) == MANY


def test_a_repeat_that_never_left_proves_nothing_about_the_first(
    rt, clock, due, asked, demo_gateway, monkeypatch
):
    """The first may have been done although its answer was lost: it stays unknown (M4)."""
    asked.answer = ChargeAnswer(AnswerStatus.UNKNOWN, reason="timeout")
    run_renewals(rt)
    asked.answer = ChargeAnswer(AnswerStatus.UNKNOWN, reason="not_sent")
    monkeypatch.setattr(demo_gateway, "lookup", lambda *_names: None)

    clock.advance(minutes=10)
    look_up_open(rt)

    assert states(rt) == {"unknown": MANY}


def test_an_order_at_the_checkout_is_open_again_when_nothing_was_done(rt, demo_gateway, asked):
    asked.answer = REFUSED
    key = begin(rt, make.make_plan(rt))
    placed = order(rt, key)
    choose(demo_gateway, placed)

    assert finish_checkout(rt, key).outcome is Outcome.UNREACHABLE

    assert only(rt, Checkout).state == "open"
    assert states(rt) == {"abandoned": 1}
    asked.answer = None
    go_on(rt)
    choose(demo_gateway, order(rt, key))
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert demo_gateway.bank.executed_count() == 1


def test_who_pays_now_is_told_that_nothing_was_done_and_may_pay_again(rt, clock, asked):
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 1, DUE, card="0341")
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)
    invoice = only(rt, Invoice)
    asked.answer = REFUSED

    with pytest.raises(PaymentPartnerSilent):
        pay_now(rt, invoice.payer_id, invoice.public_id)

    asked.answer = None
    go_on(rt)
    assert pay_now(rt, invoice.payer_id, invoice.public_id) is Paid.DONE


def test_a_refund_that_our_key_was_refused_for_waits_and_goes_out_once(
    rt, due, demo_gateway, monkeypatch
):
    run_renewals(rt)
    paid = rt.session.scalars(sa.select(ChargeAttempt).limit(3)).all()
    planned = [
        {
            "public_id": f"ref_{number}_of_three",
            "attempt_id": attempt.id,
            "amount_minor": 100,
            "currency": "EUR",
            "reason": "refund",
            "state": "planned",
            "gateway_reference": "",
            "created_at": rt.now(),
        }
        for number, attempt in enumerate(paid)
    ]
    rt.session.rollback()
    rt.session.execute(sa.insert(Refund.__table__), planned)
    asked = []

    def refuse(order):
        asked.append(order.reference)
        return RefundAnswer(AnswerStatus.UNKNOWN, reason="unauthorized")

    rt.session.commit()
    with monkeypatch.context() as patch:
        patch.setattr(demo_gateway, "refund", refuse)
        send_refunds(rt)
        send_refunds(rt)
    assert len(asked) == 1
    assert only(rt, GatewayState).stopped_at is not None
    rt.session.execute(sa.delete(Refund))
    rt.session.commit()


def test_a_worker_that_dies_after_the_stop_leaves_charges_that_are_looked_up_first(
    rt, clock, due, asked, demo_gateway, monkeypatch
):
    asked.answer = REFUSED

    def die(*_values):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sending, "record", die)
        with pytest.raises(KeyboardInterrupt):
            run_renewals(rt)
    rt.session.rollback()
    assert 0 < states(rt)["sent"] < 5
    asked.answer = None
    go_on(rt)

    clock.advance(minutes=6)
    look_up_open(rt)
    send_planned(rt)

    assert states(rt) == {"succeeded": MANY}
    assert demo_gateway.bank.executed_count() == MANY
