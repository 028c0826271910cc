"""What a gateway says of a method is kept, and said back to it with every charge."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.charges import look_up_open, send_planned
from storefront.domain.charging import AnswerStatus, AttemptState, DeclineKind
from storefront.domain.gateways import ChargeAnswer, ChargeOrder, SetupOrder, SetupStart
from storefront.domain.money import Money
from storefront.models import (
    ChargeAttempt,
    Customer,
    DunningCase,
    GatewaySetup,
    PaymentMethod,
    Subscription,
)
from storefront.queries.invariants import broken
from storefront.services.finishing import Outcome
from storefront.services.methods import begin_card, finish_card
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.population import populate
from tests.support.orders import begin, only, paid

DUE = date(2027, 3, 12)
MANDATE = {
    "kind": "bank",
    "label": "DE…4711",
    "gateway_customer": "cust_1",
    "agreement": "mandate_1",
    "limit": Money(250_000, "EUR"),
}


@pytest.fixture(autouse=True)
def nothing_is_broken(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def told(demo_gateway, monkeypatch):
    """Everything the gateway was asked; its set-ups come with a mandate and their own name."""
    asked: list[Any] = []
    real_begin, real_finish = demo_gateway.begin_setup, demo_gateway.finish_setup
    real_charge = demo_gateway.charge

    def begin_setup(order: SetupOrder) -> SetupStart:
        asked.append(order)
        return replace(real_begin(order), gateway_reference="seti_1")

    def finish_setup(reference: str, params: Any, gateway_reference: str = "") -> Any:
        asked.append(gateway_reference)
        answer = real_finish(reference, params, gateway_reference)
        method = answer.method and replace(answer.method, **MANDATE)
        return replace(answer, method=method)

    def charge(order: ChargeOrder) -> ChargeAnswer:
        asked.append(order)
        return real_charge(order)

    monkeypatch.setattr(demo_gateway, "begin_setup", begin_setup)
    monkeypatch.setattr(demo_gateway, "finish_setup", finish_setup)
    monkeypatch.setattr(demo_gateway, "charge", charge)
    return asked


def due(rt, clock, card="4242"):
    """Return a subscriber whose renewal is due now."""
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 1, DUE, card=card)
    clock.advance(days=(DUE - rt.today()).days)
    return only(rt, Subscription)


def add_card(rt, demo_gateway, customer_id):
    page = begin_card(rt, customer_id, "https://shop.example/back")
    demo_gateway.bank.choose(page.rpartition("/")[2], "4242")
    finish_card(rt, customer_id, only(rt, GatewaySetup).public_id, {})


def always(answer):
    """Return a stand-in for a method of the gateway that says the same to everybody."""

    def say(*_values: Any) -> Any:
        return answer

    return say


def answering(monkeypatch, gateway, change):
    """Let ``change`` say what the gateway answers to each charge, from what it would have."""
    real = gateway.charge
    monkeypatch.setattr(gateway, "charge", lambda order: change(real(order)))


def latest(rt):
    found = rt.session.scalars(sa.select(ChargeAttempt).order_by(ChargeAttempt.id.desc())).first()
    rt.session.rollback()
    return found


def test_all_that_is_said_of_a_method_is_kept_and_said_back_with_the_charge(rt, told):
    plan = make.make_plan(rt)

    assert paid(rt, rt.gateways["demo"], begin(rt, plan)) is Outcome.DONE

    setup, named, charge = told
    assert named == only(rt, GatewaySetup).gateway_reference == "seti_1"
    assert (setup.customer, setup.gateway_customer, setup.country) == ("", "", "DE")
    assert (setup.email, setup.name) == (only(rt, Customer).email, only(rt, Customer).name)
    method = only(rt, PaymentMethod)
    assert (method.kind, method.label) == ("bank", "DE…4711")
    assert (method.gateway_customer, method.agreement) == ("cust_1", "mandate_1")
    assert (method.limit_minor, method.limit_currency) == (250_000, "EUR")
    assert (charge.gateway_customer, charge.agreement) == ("cust_1", "mandate_1")
    assert charge.descriptor == rt.shop.name
    assert setup.limit == Money(2 * charge.amount.minor, "EUR")


def test_a_customer_who_is_known_there_is_named_when_a_card_is_added(rt, told):
    plan = make.make_plan(rt)
    paid(rt, rt.gateways["demo"], begin(rt, plan))
    customer = only(rt, Customer)

    begin_card(rt, customer.id, "https://shop.example/back")

    order = told[-1]
    assert (order.customer, order.gateway_customer) == (customer.public_id, "cust_1")
    assert order.email == customer.email


def test_a_card_added_in_the_account_keeps_all_that_is_said_of_it(rt, told, demo_gateway):
    customer = make.make_customer(rt)

    add_card(rt, demo_gateway, customer.id)

    assert told[-1] == "seti_1"
    assert only(rt, PaymentMethod).agreement == "mandate_1"


def test_a_method_that_was_taken_away_is_there_again_when_it_is_given_again(
    rt, told, demo_gateway, monkeypatch
):
    customer = make.make_customer(rt)
    method = make.make_method(rt, customer, detached_at=rt.now(), is_default=False)
    real = demo_gateway.finish_setup

    def same_token(*values: Any) -> Any:
        answer = real(*values)
        return replace(answer, method=replace(answer.method, token=method.token))

    monkeypatch.setattr(demo_gateway, "finish_setup", same_token)

    add_card(rt, demo_gateway, customer.id)

    kept = only(rt, PaymentMethod)
    assert (kept.id, kept.detached_at, kept.is_default) == (method.id, None, True)


def test_a_card_renewed_by_its_network_is_written_down_with_the_charge(
    rt, clock, demo_gateway, monkeypatch
):
    due(rt, clock)
    method = only(rt, PaymentMethod)
    newer = demo_gateway.read_method(method.token)
    newer = replace(newer, token="tok_newer", last4="1881", exp_year=2039)
    answering(monkeypatch, demo_gateway, lambda answer: replace(answer, method=newer))

    assert run_renewals(rt).charges.settled == 1

    kept = only(rt, PaymentMethod)
    assert (kept.id, kept.token) == (method.id, "tok_newer")
    assert (kept.last4, kept.exp_year) == ("1881", 2039)


def test_a_token_that_another_row_has_stays_there(rt, clock, demo_gateway, monkeypatch):
    subscription = due(rt, clock)
    mine = only(rt, PaymentMethod)
    owner = rt.session.get(Customer, subscription.customer_id)
    rt.session.expunge(owner)
    rt.session.rollback()
    other = make.make_method(rt, owner, is_default=False)
    newer = replace(demo_gateway.read_method(mine.token), token=other.token, exp_year=2039)
    answering(monkeypatch, demo_gateway, lambda answer: replace(answer, method=newer))

    assert run_renewals(rt).charges.settled == 1

    rows = rt.session.execute(
        sa.select(PaymentMethod.token, PaymentMethod.exp_year).order_by(PaymentMethod.id)
    ).all()
    assert [tuple(row) for row in rows] == [(mine.token, 2039), (other.token, other.exp_year)]


def test_network_and_code_of_a_decline_are_kept(rt, clock, demo_gateway, monkeypatch):
    due(rt, clock, card="0341")
    answering(monkeypatch, demo_gateway, lambda answer: replace(answer, network="visa", code="51"))

    assert run_renewals(rt).charges.declined == 1

    assert (latest(rt).network, latest(rt).code) == ("visa", "51")


def test_what_only_the_customer_may_try_again_is_asked_for_and_refuses_no_card(
    rt, clock, demo_gateway, monkeypatch
):
    due(rt, clock, card="0341")
    ask = {"decline": DeclineKind.ASK, "reason": "do_not_honor"}
    answering(monkeypatch, demo_gateway, lambda answer: replace(answer, **ask))

    run_renewals(rt)

    case = only(rt, DunningCase)
    assert (case.next_action, case.state) == ("last_action", "open")
    assert case.next_at.date() > rt.today() + timedelta(days=3)
    assert latest(rt).decline_kind is DeclineKind.ASK
    assert only(rt, PaymentMethod).refused_at is None
    assert only(rt, Subscription).state == "past_due"


def test_the_gateway_s_own_name_of_a_charge_helps_to_find_it_and_is_not_lost(
    rt, clock, demo_gateway, monkeypatch
):
    due(rt, clock)
    late = ChargeAnswer(AnswerStatus.PENDING, gateway_reference="ch_77")
    monkeypatch.setattr(demo_gateway, "charge", always(late))
    asked = []

    def lookup(reference: str, gateway_reference: str = "") -> ChargeAnswer:
        asked.append(gateway_reference)
        return ChargeAnswer(AnswerStatus.UNKNOWN, reason="timeout")

    monkeypatch.setattr(demo_gateway, "lookup", lookup)
    run_renewals(rt)

    for _look in range(2):
        clock.advance(days=1)
        look_up_open(rt)

    assert asked == ["ch_77", "ch_77"]
    assert (latest(rt).state, latest(rt).gateway_reference) == (AttemptState.UNKNOWN, "ch_77")


def test_a_payment_that_waits_for_days_brings_no_box_and_is_chased_when_it_fails(
    rt, clock, demo_gateway, monkeypatch
):
    """G-17 and G-18: nothing is tried beside it, and its failure begins the schedule."""
    due(rt, clock)
    late = ChargeAnswer(AnswerStatus.PENDING, gateway_reference="ch_77")
    monkeypatch.setattr(demo_gateway, "charge", always(late))
    monkeypatch.setattr(demo_gateway, "lookup", always(late))
    boxes = "SELECT count(*) FROM box"
    before = rt.session.execute(sa.text(boxes)).scalar_one()
    rt.session.rollback()
    assert run_renewals(rt).charges.pending == 1

    for _day in range(2):
        clock.advance(days=1)
        look_up_open(rt)
        send_planned(rt)
    assert rt.session.execute(sa.text(boxes)).scalar_one() == before
    assert latest(rt).number == 1
    assert rt.session.scalars(sa.select(DunningCase)).all() == []
    rt.session.rollback()
    failed = ChargeAnswer(
        AnswerStatus.DECLINED, decline=DeclineKind.SOFT, reason="insufficient_funds"
    )
    monkeypatch.setattr(demo_gateway, "lookup", always(failed))
    clock.advance(days=1)
    look_up_open(rt)

    assert (only(rt, DunningCase).next_action, only(rt, Subscription).state) == (
        "retry",
        "past_due",
    )
