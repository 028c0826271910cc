"""One order, whatever the shopper, the network and the bank do."""

import threading
import time
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.charging import AttemptState
from storefront.domain.gateways import ChargeAnswer, ChargeOrder
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import PeriodState, SubscriptionState
from storefront.models import (
    Box,
    ChargeAttempt,
    Consent,
    Customer,
    GatewaySetup,
    Invoice,
    InvoiceLine,
    Plan,
    Subscription,
    SubscriptionPeriod,
)
from storefront.operations.beginning import Start
from storefront.runtime import Runtime
from storefront.services.baskets import BoxChoice, Changed, change_box
from storefront.services.checkout import Step, change_delivery, start_checkout
from storefront.services.finishing import (
    Outcome,
    finish_checkout,
    leave_bank,
)
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.cards import OK, PENDING
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import (
    ADA,
    begin,
    choose,
    count,
    in_parallel,
    only,
    order,
    paid,
    quote_hash,
)

DAYS = make.Days()


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt)


def test_an_order_is_a_paid_period_with_its_box(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    key = begin(rt, plan, source={"utm_source": "letter"})

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    subscription = only(rt, Subscription)
    assert subscription.state == SubscriptionState.ACTIVE
    assert (subscription.anchor_on, subscription.anchor_day) == (DAYS.first_renewal, 12)
    assert (subscription.next_on, subscription.next_number) == (date(2027, 4, 2), 1)
    assert (subscription.anchor_number, subscription.billed_count) == (2, 1)
    assert subscription.source == "letter"
    period = only(rt, SubscriptionPeriod)
    assert (period.start_on, period.end_on, period.number) == (DAYS.today, date(2027, 4, 2), 0)
    assert (period.state, period.box_count) == (PeriodState.PAID, 1)
    invoice = only(rt, Invoice)
    assert (invoice.state, invoice.number, invoice.total_minor) == (InvoiceState.PAID, 1, 2600)
    assert only(rt, Box).period_id == period.id
    consent = only(rt, Consent)
    assert (consent.text, consent.amount_minor, consent.interval) == ("I agree.", 2600, "1 month")
    assert (consent.ip, consent.user_agent) == ("192.0.2.1", "UA")
    assert only(rt, Customer).email == "ada@example.org"
    assert demo_gateway.bank.executed_total("EUR") == 2600


def test_the_first_cycle_after_the_cut_off_is_joined(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    clock.advance(days=10)

    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE

    subscription = only(rt, Subscription)
    assert subscription.anchor_on == date(2027, 5, 12)


def test_three_months_are_paid_at_once_with_three_boxes(rt: Runtime, demo_gateway: DemoGateway):
    plan = make.make_plan(rt, amount_minor=7410, count=3)

    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE

    assert count(rt, Box) == 3
    assert only(rt, Subscription).anchor_on == date(2027, 6, 12)


def test_nothing_is_locked_while_the_gateway_is_asked(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
):
    seen = []

    def spied(name: str) -> None:
        real = getattr(demo_gateway, name)

        def spy(*values: object) -> object:
            seen.append((name, rt.session().in_transaction()))
            return real(*values)

        monkeypatch.setattr(demo_gateway, name, spy)

    for name in ("begin_setup", "finish_setup", "charge"):
        spied(name)
    paid(rt, demo_gateway, begin(rt, plan))

    assert seen == [("begin_setup", False), ("finish_setup", False), ("charge", False)]


def test_ten_finishes_at_once_are_one_subscription_and_one_charge(
    app: Flask, rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))

    results = in_parallel(app, 10, lambda own, _: finish_checkout(own, key).outcome)

    assert set(results) <= {Outcome.DONE, Outcome.WAITING}
    assert Outcome.DONE in results
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert (count(rt, Subscription), count(rt, Invoice), count(rt, ChargeAttempt)) == (1, 1, 1)
    assert count(rt, Consent) == 1
    assert demo_gateway.bank.executed_count() == 1


def test_a_second_click_waits_for_the_first_ones_charge(
    app: Flask,
    rt: Runtime,
    plan: Plan,
    demo_gateway: DemoGateway,
    monkeypatch: pytest.MonkeyPatch,
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))
    at_the_bank, go_on = threading.Event(), threading.Event()
    charge = demo_gateway.charge

    def slowly(asked: ChargeOrder) -> ChargeAnswer:
        at_the_bank.set()
        assert go_on.wait(10)
        return charge(asked)

    monkeypatch.setattr(demo_gateway, "charge", slowly)
    waited = []

    def click(own: Runtime, number: int) -> Outcome:
        if number == 0:
            return finish_checkout(own, key).outcome

        def pause(seconds: float) -> None:
            waited.append((seconds, own.session().in_transaction()))
            go_on.set()
            time.sleep(seconds)

        assert at_the_bank.wait(10)
        return finish_checkout(own, key, pause).outcome

    assert in_parallel(app, 2, click) == [Outcome.DONE, Outcome.DONE]
    assert waited
    assert set(waited) == {(0.25, False)}
    assert demo_gateway.bank.executed_count() == 1


def test_a_charge_that_takes_long_is_waited_for_three_seconds_only(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))
    waited: list[float] = []
    charge = demo_gateway.charge

    def slowly(asked: ChargeOrder) -> ChargeAnswer:
        assert finish_checkout(rt, key, waited.append).outcome is Outcome.WAITING
        return charge(asked)

    monkeypatch.setattr(demo_gateway, "charge", slowly)

    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert sum(waited) == 3


def test_ten_orders_at_once_open_one_page(app: Flask, rt: Runtime, plan: Plan):
    key = begin(rt, plan)
    shown = quote_hash(rt, key)

    placed = in_parallel(app, 10, lambda own, _: order(own, key, shown))

    assert len({one.url for one in placed}) == 1  # type: ignore[attr-defined]
    assert count(rt, GatewaySetup) == 1


def test_a_lost_answer_is_looked_up_and_paid_once(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)

    assert paid(rt, demo_gateway, key, "0408") is Outcome.WAITING
    assert only(rt, ChargeAttempt).state == AttemptState.UNKNOWN
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert finish_checkout(rt, key).outcome is Outcome.DONE

    assert demo_gateway.bank.executed_count() == 1
    assert count(rt, Box) == 1


def test_while_the_bank_is_down_nothing_is_paid_again(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)
    assert paid(rt, demo_gateway, key, "0408") is Outcome.WAITING
    demo_gateway.bank.set_fault("down")

    assert finish_checkout(rt, key).outcome is Outcome.WAITING
    assert order(rt, key, "x").step is Step.CLOSED

    demo_gateway.bank.set_fault("down", False)
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert demo_gateway.bank.executed_count() == 1


def test_a_declined_card_leaves_the_order_for_another(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)

    choose(demo_gateway, order(rt, key), "9995")
    first = finish_checkout(rt, key)
    assert (first.outcome, first.reason) == (Outcome.DECLINED, "insufficient_funds")
    assert only(rt, Subscription).state == SubscriptionState.INCOMPLETE
    assert only(rt, Invoice).state == InvoiceState.OFFERED
    assert count(rt, Box) == 0

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    attempts = rt.session.scalars(
        sa.select(ChargeAttempt.number).order_by(ChargeAttempt.number)
    ).all()
    rt.session.rollback()
    assert attempts == [1, 2]
    assert (count(rt, Subscription), count(rt, Invoice), count(rt, Box)) == (1, 1, 1)
    assert demo_gateway.bank.executed_count() == 1


def test_after_a_hard_decline_the_card_that_paid_is_the_default(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key), "0069")
    assert finish_checkout(rt, key).reason == "expired_card"

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    default = rt.session.execute(
        sa.text("SELECT last4 FROM payment_method WHERE is_default")
    ).scalar_one()
    rt.session.rollback()
    assert default == "4242"


def test_another_price_after_a_decline_is_another_invoice(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED
    old = quote_hash(rt, key)
    make.make_price(rt, plan, amount_minor=2750)

    assert order(rt, key, old).step is Step.CHANGED
    assert paid(rt, demo_gateway, key) is Outcome.DONE

    states = rt.session.execute(
        sa.select(Invoice.state, Invoice.total_minor).order_by(Invoice.id)
    ).all()
    voids = rt.session.scalars(sa.select(InvoiceLine.is_void).order_by(InvoiceLine.id)).all()
    rt.session.rollback()
    assert [tuple(row) for row in states] == [
        (InvoiceState.DISCARDED, 2600),
        (InvoiceState.PAID, 2750),
    ]
    assert voids == [True, False]
    assert count(rt, SubscriptionPeriod) == 1
    assert demo_gateway.bank.executed_total("EUR") == 2750


def test_the_price_agreed_to_is_charged_although_it_changed_at_the_gateway(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)
    placed = order(rt, key)
    make.make_price(rt, plan, amount_minor=2750)
    choose(demo_gateway, placed)

    assert finish_checkout(rt, key).outcome is Outcome.DONE

    assert demo_gateway.bank.executed_total("EUR") == 2600


def test_a_ship_date_that_passed_meanwhile_is_asked_again(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))
    clock.advance(days=10)

    assert finish_checkout(rt, key).outcome is Outcome.CHANGED
    assert demo_gateway.bank.executed_count() == 0
    assert paid(rt, demo_gateway, key) is Outcome.DONE


def test_a_bank_that_wants_to_know_gets_its_answer(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key), "3220")

    asked = finish_checkout(rt, key)
    assert asked.outcome is Outcome.ACTION
    assert finish_checkout(rt, key).outcome is Outcome.ACTION
    demo_gateway.bank.confirm_charge(asked.url.rpartition("/")[2], True)

    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert demo_gateway.bank.executed_count() == 1


def test_a_refused_confirmation_charges_nothing(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key), "3220")
    asked = finish_checkout(rt, key)
    demo_gateway.bank.confirm_charge(asked.url.rpartition("/")[2], False)

    ended = finish_checkout(rt, key)

    assert (ended.outcome, ended.reason) == (Outcome.DECLINED, "authentication_failed")
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert demo_gateway.bank.executed_count() == 1


def test_another_card_instead_of_the_bank(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key), "3220")
    assert finish_checkout(rt, key).outcome is Outcome.ACTION

    assert leave_bank(rt, key).outcome is Outcome.DECLINED
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert demo_gateway.bank.executed_count() == 1


def test_leaving_the_bank_too_late_is_an_order(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key), "3220")
    asked = finish_checkout(rt, key)
    demo_gateway.bank.confirm_charge(asked.url.rpartition("/")[2], True)

    assert leave_bank(rt, key).outcome is Outcome.DONE


def test_a_payment_that_takes_days_is_waited_for(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)
    placed = order(rt, key)
    choose(demo_gateway, placed)
    setup = demo_gateway.bank.setup_of(only(rt, GatewaySetup).public_id)
    assert setup is not None
    demo_gateway.bank.script(setup.token, [PENDING])  # type: ignore[union-attr]

    assert finish_checkout(rt, key).outcome is Outcome.WAITING
    demo_gateway.bank.settle(only(rt, ChargeAttempt).public_id, OK)  # type: ignore[union-attr]

    assert finish_checkout(rt, key).outcome is Outcome.DONE


def test_going_back_from_the_gateway_charges_nothing(rt: Runtime, plan: Plan):
    key = begin(rt, plan)
    first = order(rt, key)

    assert finish_checkout(rt, key).outcome is Outcome.UNFINISHED
    assert order(rt, key) == first


def test_a_gateway_that_is_down_keeps_the_order(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    key = begin(rt, plan)
    demo_gateway.bank.set_fault("down")
    assert order(rt, key).step is Step.UNREACHABLE

    demo_gateway.bank.set_fault("down", False)
    assert paid(rt, demo_gateway, key) is Outcome.DONE


def test_held_charging_takes_no_order(rt: Runtime, plan: Plan):
    key = begin(rt, plan)
    make.make_shop(rt, charging_held_at=rt.now())

    assert order(rt, key).step is Step.HELD


def test_another_price_than_shown_is_asked_again(rt: Runtime, plan: Plan):
    key = begin(rt, plan)
    shown = quote_hash(rt, key)
    make.make_price(rt, plan, amount_minor=2750)

    assert order(rt, key, shown).step is Step.CHANGED
    assert count(rt, GatewaySetup) == 0
    assert order(rt, key).step is Step.PAY


def test_an_order_without_address_is_not_taken(rt: Runtime, plan: Plan):
    key = start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id))

    assert order(rt, key).step is Step.INCOMPLETE


def test_an_existing_account_is_used_and_not_changed(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    known = make.make_customer(rt, email="ada@example.org", name="A. King")
    make.make_method(rt, known)
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))

    finished = finish_checkout(rt, key)

    assert finished.new_customer_id is None
    assert only(rt, Customer).name == "A. King"
    assert only(rt, Subscription).customer_id == known.id


def test_what_is_paid_cannot_be_changed(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    key = begin(rt, plan)
    paid(rt, demo_gateway, key)

    assert not change_delivery(rt, key, "eve@example.org", ADA)
    assert change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {})) is Changed.CLOSED
    assert order(rt, key, "x").step is Step.CLOSED


def test_an_unknown_order_is_nobodys(rt: Runtime):
    with pytest.raises(LookupError):
        finish_checkout(rt, "chk_nothing")
    with pytest.raises(LookupError):
        change_delivery(rt, "chk_nothing", "", {})
