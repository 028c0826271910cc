"""Several boxes in one order: one invoice, one charge, and each box a subscription of its own."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.adapters import failpoints
from storefront.domain.charging import AttemptState
from storefront.domain.coupons import Refusal
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import PeriodState, SubscriptionState
from storefront.domain.money import Money
from storefront.mails import compose
from storefront.models import (
    Box,
    ChargeAttempt,
    Consent,
    Coupon,
    Invoice,
    InvoiceLine,
    OutboxMessage,
    Plan,
    Redemption,
    Subscription,
    SubscriptionDiscount,
    SubscriptionEvent,
    SubscriptionPeriod,
)
from storefront.operations.checkout import Market, Order, find_checkout, read_order
from storefront.operations.customer_credit import grant_credit
from storefront.queries.checkout import confirmation
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.baskets import BoxChoice, Changed, add_box, change_box, remove_box
from storefront.services.checkout import Step
from storefront.services.coupons import use_code
from storefront.services.finishing import Outcome, expire_checkouts, finish_checkout
from storefront.services.outbox import Delivery
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.baskets import add, begin_with, remove, subscriptions, version
from tests.support.orders import begin, choose, count, in_parallel, only, order, paid, quote_hash


@pytest.fixture
def tea(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="tea", amount_minor=2600)


@pytest.fixture
def pot(rt: Runtime, tea: Plan) -> Plan:
    return make.make_plan(rt, code="pot", amount_minor=1900)


def shown(rt: Runtime, key: str) -> Order:
    row = find_checkout(rt.session, key)
    assert row is not None
    found = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    return found


def all_of(rt: Runtime, model: type) -> list[sa.Row]:
    table = model.__table__  # type: ignore[attr-defined]
    rows = list(rt.session.execute(sa.select(table).order_by(table.c.id)))
    rt.session.rollback()
    return rows


def assert_sound(rt: Runtime) -> None:
    assert broken(rt.session) == {}
    rt.session.rollback()


def test_two_boxes_are_one_invoice_one_charge_and_two_subscriptions(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    key = begin_with(rt, tea, pot)
    assert paid(rt, demo_gateway, key) is Outcome.DONE

    first, second = all_of(rt, Subscription)
    assert (first.plan_id, second.plan_id) == (tea.id, pot.id)
    assert (first.checkout_position, second.checkout_position) == (0, 1)
    assert first.state == second.state == SubscriptionState.ACTIVE
    assert first.customer_id == second.customer_id
    assert first.payment_method_id == second.payment_method_id
    assert first.address_id == second.address_id
    invoice = only(rt, Invoice)
    assert (invoice.state, invoice.total_minor, invoice.paid_minor) == (
        InvoiceState.PAID,
        4500,
        4500,
    )
    lines = all_of(rt, InvoiceLine)
    assert [(line.subscription_id, line.gross_minor) for line in lines] == [
        (first.id, 2600),
        (second.id, 1900),
    ]
    periods = all_of(rt, SubscriptionPeriod)
    assert [(one.id, one.state) for one in periods] == [
        (line.period_id, PeriodState.PAID) for line in lines
    ]
    assert [box.subscription_id for box in all_of(rt, Box)] == [first.id, second.id]
    assert only(rt, ChargeAttempt).amount_minor == 4500
    assert demo_gateway.bank.executed_total("EUR") == 4500
    consents = all_of(rt, Consent)
    assert [(one.subscription_id, one.amount_minor) for one in consents] == [
        (first.id, 2600),
        (second.id, 1900),
    ]
    assert_sound(rt)


def test_one_payment_is_confirmed_in_one_mail_and_told_on_each_timeline(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    paid(rt, demo_gateway, begin_with(rt, tea, pot))

    row = rt.session.scalars(sa.select(OutboxMessage).filter_by(topic="order_confirmed")).one()
    delivery = Delivery(**{name: getattr(row, name) for name in Delivery.__dataclass_fields__})
    mail = compose(rt, delivery)
    assert mail is not None
    for words in ("€45.00", "€26.00 on Mon 12 April", "€19.00 on Mon 12 April", "each box online"):
        assert words in mail.text
    started = [
        row.data["amount_minor"]
        for row in all_of(rt, SubscriptionEvent)
        if row.kind == "subscription.started"
    ]
    assert started == [2600, 1900]


def test_the_same_plan_twice_is_two_subscriptions(
    rt: Runtime, tea: Plan, demo_gateway: DemoGateway
):
    assert paid(rt, demo_gateway, begin_with(rt, tea, tea)) is Outcome.DONE

    assert [one.plan_id for one in all_of(rt, Subscription)] == [tea.id, tea.id]
    assert only(rt, Invoice).total_minor == 5200
    assert_sound(rt)


def test_each_renews_by_itself_on_its_own_invoice(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    paid(rt, demo_gateway, begin_with(rt, tea, pot))
    clock.advance(days=41)
    run_renewals(rt)

    assert [row.total_minor for row in all_of(rt, Invoice)] == [4500, 2600, 1900]
    assert count(rt, Box) == 4
    assert_sound(rt)


def test_the_order_says_for_each_box_what_is_due_and_what_comes(
    rt: Runtime, tea: Plan, demo_gateway: DemoGateway
):
    quarterly = make.make_plan(rt, code="quarter", amount_minor=7410, count=3)
    key = begin_with(rt, tea, quarterly)

    found = shown(rt, key)
    assert found.to_pay.minor == 10010
    assert [item.quote.due_today.minor for item in found.items if item.quote] == [2600, 7410]
    days = [[str(c.on) for c in item.quote.charges] for item in found.items if item.quote]
    assert days == [["2027-04-12"], ["2027-06-12"]]

    paid(rt, demo_gateway, key)
    done = confirmation(rt.session, key)
    assert done is not None
    assert (done.paid.minor, [box.due.minor for box in done.boxes]) == (10010, [2600, 7410])
    assert [box.charges[0][0] for box in done.boxes] == [date(2027, 4, 12), date(2027, 6, 12)]


def test_a_box_can_be_taken_off_again_and_another_put_on(rt: Runtime, tea: Plan, pot: Plan):
    key = begin_with(rt, tea, pot)

    assert remove(rt, key, "") is Changed.DONE
    assert [item.plan.code for item in shown(rt, key).items] == ["pot"]
    assert remove(rt, key, "") is Changed.GONE
    assert add(rt, key, tea) is Changed.DONE
    assert [(item.ref, item.plan.code) for item in shown(rt, key).items] == [
        ("", "pot"),
        ("2", "tea"),
    ]
    assert remove(rt, key, "2") is Changed.DONE
    assert shown(rt, key).to_pay.minor == 1900


def test_a_second_click_adds_or_removes_nothing(rt: Runtime, tea: Plan, pot: Plan):
    key = begin(rt, tea)
    seen = version(rt, key)
    choice = BoxChoice(pot.id, make.price_of(rt, pot).id)

    assert [add_box(rt, key, choice, seen) for _ in range(2)] == [Changed.DONE, Changed.STALE]
    add(rt, key, tea)
    seen = version(rt, key)
    assert [remove_box(rt, key, "", seen) for _ in range(2)] == [Changed.DONE, Changed.STALE]
    assert [item.plan.code for item in shown(rt, key).items] == ["pot", "tea"]


def test_a_box_of_another_plan_is_not_changed_by_a_stale_form(rt: Runtime, tea: Plan, pot: Plan):
    key = begin_with(rt, tea, pot)
    remove(rt, key, "")

    changed = change_box(rt, key, BoxChoice(tea.id, make.price_of(rt, tea).id))

    assert changed is Changed.GONE
    assert [item.plan.code for item in shown(rt, key).items] == ["pot"]


def test_one_order_has_eight_boxes_at_most(rt: Runtime, tea: Plan):
    key = begin_with(rt, *[tea] * 8)

    assert add(rt, key, tea) is Changed.FULL
    assert len(shown(rt, key).items) == 8


def test_boxes_taxed_in_other_ways_are_not_paid_together(rt: Runtime, tea: Plan):
    other = make.make_plan(rt, code="net", amount_minor=None)
    make.make_price(rt, other, tax_inclusive=False)
    key = begin(rt, tea)

    assert add(rt, key, other) is Changed.APART
    assert len(shown(rt, key).items) == 1


def test_a_box_is_not_added_to_an_order_that_is_paid(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, tea)
    paid(rt, demo_gateway, key)

    assert add(rt, key, pot) is Changed.CLOSED
    assert remove(rt, key, "") is Changed.CLOSED


def test_a_box_added_in_another_tab_is_shown_before_it_is_paid(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, tea)
    agreed = quote_hash(rt, key)
    add(rt, key, pot)
    assert order(rt, key, agreed).step is Step.CHANGED

    agreed = quote_hash(rt, key)
    placed = order(rt, key, agreed)
    remove(rt, key, "2")
    choose(demo_gateway, placed)
    assert finish_checkout(rt, key).outcome is Outcome.CHANGED
    assert count(rt, Subscription) == 0
    assert demo_gateway.bank.executed_total("EUR") == 0


def test_after_a_decline_no_box_is_active_and_another_card_pays_for_all(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    key = begin_with(rt, tea, pot)
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED

    states = {row.state for row in all_of(rt, Subscription)}
    assert states == {SubscriptionState.INCOMPLETE}
    assert count(rt, Box) == 0

    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert [row.state for row in all_of(rt, Subscription)] == [SubscriptionState.ACTIVE] * 2
    assert count(rt, Invoice, Invoice.state == InvoiceState.PAID) == 1
    assert demo_gateway.bank.executed_total("EUR") == 4500
    assert_sound(rt)


@pytest.mark.parametrize(("gone", "left"), [("", "pot"), ("2", "tea")])
def test_a_box_taken_off_after_a_decline_never_begins(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway, gone: str, left: str
):
    key = begin_with(rt, tea, pot)
    paid(rt, demo_gateway, key, "9995")
    remove(rt, key, gone)

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    first, second = all_of(rt, Subscription)
    assert (first.state, second.state) == (SubscriptionState.ACTIVE, SubscriptionState.EXPIRED)
    assert second.checkout_id is None
    kept = {"tea": tea, "pot": pot}[left]
    assert first.plan_id == kept.id
    assert only(rt, Box).subscription_id == first.id
    assert count(rt, SubscriptionPeriod, SubscriptionPeriod.state == PeriodState.INVOICED) == 0
    assert_sound(rt)


def test_a_box_taken_off_after_a_decline_can_come_back(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    key = begin_with(rt, tea, pot)
    paid(rt, demo_gateway, key, "9995")
    remove(rt, key, "2")
    paid(rt, demo_gateway, key, "9995")
    add(rt, key, pot)

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    states = [row.state for row in all_of(rt, Subscription)]
    assert sorted(states) == [
        SubscriptionState.ACTIVE,
        SubscriptionState.ACTIVE,
        SubscriptionState.EXPIRED,
    ]
    assert demo_gateway.bank.executed_total("EUR") == 4500
    assert_sound(rt)


def test_an_order_that_ran_out_leaves_no_box_behind(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    make.make_code(rt, "LEMON", max_uses=1)
    key = begin_with(rt, tea, pot)
    use_code(rt, key, "lemon")
    paid(rt, demo_gateway, key, "9995")
    clock.advance(hours=3)

    assert expire_checkouts(rt) == 1
    assert expire_checkouts(rt) == 0

    assert {row.state for row in all_of(rt, Subscription)} == {SubscriptionState.EXPIRED}
    assert {row.state for row in all_of(rt, SubscriptionPeriod)} == {PeriodState.VOID}
    assert only(rt, Coupon).used == 0
    assert_sound(rt)


def test_twenty_finishes_at_once_are_one_set_of_boxes_and_one_charge(
    app: Flask, rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    key = begin_with(rt, tea, pot)
    choose(demo_gateway, order(rt, key))

    def finish(each: Runtime, _number: int) -> Outcome:
        return finish_checkout(each, key, pause=lambda _seconds: None).outcome

    outcomes = in_parallel(app, 20, finish)

    assert set(outcomes) <= {Outcome.DONE, Outcome.WAITING}
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert count(rt, Subscription) == 2
    assert only(rt, ChargeAttempt).state == AttemptState.SUCCEEDED
    assert demo_gateway.bank.executed_total("EUR") == 4500
    assert_sound(rt)


def test_a_lost_answer_is_found_again_for_all_boxes(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    key = begin_with(rt, tea, pot)
    # This card's charge is executed and its answer lost.
    assert paid(rt, demo_gateway, key, "0408") is Outcome.WAITING
    clock.advance(minutes=6)

    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert {row.state for row in all_of(rt, Subscription)} == {SubscriptionState.ACTIVE}
    assert demo_gateway.bank.executed_total("EUR") == 4500
    assert_sound(rt)


def test_a_code_lowers_one_box_and_takes_one_use(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    make.make_code(rt, "LEMON", max_uses=1)
    key = begin_with(rt, tea, pot)
    assert use_code(rt, key, "lemon").refused is None
    assert [item.quote.due_today.minor for item in shown(rt, key).items if item.quote] == [
        2340,
        1900,
    ]

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    assert only(rt, Coupon).used == 1
    assert only(rt, Redemption).amount_minor == 260
    assert only(rt, SubscriptionDiscount).subscription_id == subscriptions(rt)[0].id
    assert_sound(rt)


def test_a_code_for_one_plan_lowers_the_box_of_that_plan(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    make.make_code(rt, "POTS", limits={"plans": ["pot"]})
    key = begin(rt, tea)
    assert use_code(rt, key, "pots").refused is Refusal.WRONG_PLAN
    add(rt, key, pot)
    assert use_code(rt, key, "pots").refused is None

    found = shown(rt, key)
    assert found.refused is None
    assert [item.quote.due_today.minor for item in found.items if item.quote] == [2600, 1710]
    remove(rt, key, "2")
    assert shown(rt, key).refused is Refusal.WRONG_PLAN


def test_an_automatic_discount_lowers_every_box_and_takes_a_use_for_each(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    make.make_code(rt, "SPRING", is_automatic=True, max_uses=2)
    key = begin_with(rt, tea, pot)
    assert shown(rt, key).to_pay.minor == 2340 + 1710

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    assert only(rt, Coupon).used == 2
    assert count(rt, Redemption) == 2
    assert_sound(rt)


@pytest.mark.parametrize(
    "limit", [{"max_uses": 1}, {"max_per_customer": 1}, {"first_time_only": True}]
)
def test_limits_of_an_automatic_discount_hold_inside_one_order(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway, limit: dict[str, object]
):
    make.make_code(rt, "SPRING", is_automatic=True, **limit)
    key = begin_with(rt, tea, pot)
    assert shown(rt, key).to_pay.minor == 2340 + 1900

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    assert only(rt, Coupon).used == 1
    assert_sound(rt)


def test_one_order_has_one_trial(rt: Runtime, demo_gateway: DemoGateway):
    club, other = (
        make.make_plan(rt, code=code, amount_minor=minor, trial_days=14)
        for code, minor in (("club", 2600), ("other", 1900))
    )
    key = begin_with(rt, club, other)
    assert shown(rt, key).to_pay.minor == 1900

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    first, second = all_of(rt, Subscription)
    assert (first.state, second.state) == (SubscriptionState.TRIALING, SubscriptionState.ACTIVE)
    assert only(rt, Invoice).total_minor == 1900
    assert_sound(rt)


def test_credit_pays_for_the_whole_order(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    ada = make.make_customer(rt, email="ada@example.org")
    grant_credit(rt.session, ada.id, Money(3000, "EUR"), "goodwill", "", rt.moment())
    rt.session.commit()
    key = begin_with(rt, tea, pot, customer_id=ada.id)
    assert shown(rt, key).to_pay.minor == 1500

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    invoice = only(rt, Invoice)
    assert (invoice.total_minor, invoice.applied_minor, invoice.paid_minor) == (4500, 3000, 1500)
    assert_sound(rt)


@pytest.mark.parametrize("point", ["checkout.after_setup", "checkout.after_sent"])
def test_a_crash_on_the_way_leaves_one_set_of_boxes_and_one_charge(
    rt: Runtime,
    tea: Plan,
    pot: Plan,
    demo_gateway: DemoGateway,
    clock: FrozenClock,
    point: str,
):
    key = begin_with(rt, tea, pot)
    choose(demo_gateway, order(rt, key))
    failpoints.arm(f"{point}:raise")
    with pytest.raises(failpoints.FailpointReached):
        finish_checkout(rt, key)
    rt.session.rollback()
    failpoints.arm("")
    assert SubscriptionState.ACTIVE not in {row.state for row in all_of(rt, Subscription)}
    clock.advance(minutes=1)

    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert [row.state for row in all_of(rt, Subscription)] == [SubscriptionState.ACTIVE] * 2
    assert (count(rt, Box), demo_gateway.bank.executed_total("EUR")) == (2, 4500)
    assert_sound(rt)


def test_a_paid_order_with_a_box_that_never_began_is_noticed(
    rt: Runtime, tea: Plan, pot: Plan, demo_gateway: DemoGateway
):
    paid(rt, demo_gateway, begin_with(rt, tea, pot))
    last = all_of(rt, Subscription)[-1]
    rt.session.execute(
        sa.update(Subscription).where(Subscription.id == last.id).values(state="incomplete")
    )

    assert "S-together" in broken(rt.session)
    rt.session.rollback()
