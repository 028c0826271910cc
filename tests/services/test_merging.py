"""Two accounts of one person become one: nothing is lost, nothing is charged otherwise."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.merging import MergeProblem, MergeRefused
from storefront.domain.money import Money
from storefront.mails import compose
from storefront.models import (
    AuditEntry,
    ChargeAttempt,
    Customer,
    CustomerCredit,
    Invoice,
    LoginSession,
    Plan,
    Referral,
    Subscription,
    SubscriptionEvent,
    SubscriptionPeriod,
)
from storefront.operations.customer_credit import balance_of, grant_credit
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.merging import merge_customers
from storefront.services.renewals import open_due, run_renewals
from storefront.services.sessions import start_session
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.orders import begin, count, in_parallel, order
from tests.support.paying import waiting_mails

ROUNDS = range(4)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert {name: rows for name, rows in broken(rt.session).items() if rows} == {}
    rt.session.rollback()


def two_accounts(rt: Runtime) -> tuple[Customer, Customer]:
    """Two customers of one plan, each with a running subscription and a card of their own."""
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    kept, merged = make.make_customer(rt), make.make_customer(rt, referral_code="TWICE")
    make.make_subscription(rt, plan=plan, customer=kept)
    make.make_subscription(rt, plan=plan, customer=merged)
    return kept, merged


def test_everything_of_one_account_belongs_to_the_other_and_goes_on_with_its_card(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    kept, merged = two_accounts(rt)
    who = make_staff(rt)
    start_session(rt, merged.id, "password", "192.0.2.1", "test")
    grant_credit(rt.session, kept.id, Money(100, "EUR"), "goodwill", "", rt.moment())
    grant_credit(rt.session, merged.id, Money(250, "EUR"), "goodwill", "", rt.moment())
    rt.session.commit()
    before = rt.session.execute(
        sa.select(Invoice.id, Invoice.snapshot, Invoice.content_hash).order_by(Invoice.id)
    ).all()
    rt.session.rollback()

    moved = merge_customers(rt, who, kept.public_id, merged.public_id)

    assert moved is not None
    here, there = (compose(rt, one) for one in waiting_mails(rt, "accounts_merged"))
    rt.session.rollback()
    assert here is not None
    assert there is not None
    assert (here.to, there.to) == (kept.email, merged.email)
    # The address that was closed hears of none but its own.
    assert (merged.email in here.text, kept.email in there.text) == (True, False)
    assert (moved.subscriptions, moved.invoices, moved.methods) == (1, 1, 1)
    assert moved.credit == (Money(250, "EUR"),)
    assert count(rt, Subscription, Subscription.customer_id == kept.id) == 2
    assert count(rt, LoginSession) == 0
    assert balance_of(rt.session, kept.id, "EUR") == Money(350, "EUR")
    row = rt.session.execute(
        sa.select(Customer.email, Customer.name, Customer.merged_into_id).where(
            Customer.id == merged.id
        )
    ).one()
    assert row == (f"{merged.public_id}@merged.invalid", "", kept.id)
    assert rt.session.scalar(sa.select(Customer.referral_code).where(Customer.id == kept.id))
    after = rt.session.execute(
        sa.select(Invoice.id, Invoice.snapshot, Invoice.content_hash).order_by(Invoice.id)
    ).all()
    rt.session.rollback()
    # A document says for ever what it said.
    assert after == before
    assert count(rt, SubscriptionEvent, SubscriptionEvent.kind == "subscription.taken_over") == 1
    assert count(rt, AuditEntry, AuditEntry.action == "customer.merged") == 1
    # A second click changes nothing.
    assert merge_customers(rt, who, kept.public_id, merged.public_id) is None

    clock.advance(days=41)
    run_renewals(rt)

    # Twice each: what paid for a subscription before pays for it still.
    cards = list(rt.session.scalars(sa.select(ChargeAttempt.payment_method_id)))
    assert [cards.count(card) for card in set(cards)] == [2, 2]
    # Credit is used up by whichever falls due first: it is one person's.
    assert rt.session.scalar(sa.select(sa.func.sum(CustomerCredit.balance_minor))) == 0
    rt.session.rollback()


def test_an_account_that_was_merged_takes_nothing_new(rt: Runtime) -> None:
    kept, merged = two_accounts(rt)
    merge_customers(rt, make_staff(rt), kept.public_id, merged.public_id)
    with pytest.raises((sa.exc.IntegrityError, sa.exc.InternalError)):
        make.make_address(rt, merged)
    rt.session.rollback()
    with pytest.raises(MergeRefused) as refused:
        merge_customers(rt, make_staff(rt, "support"), merged.public_id, kept.public_id)
    assert refused.value.params["problems"] == [MergeProblem.CLOSED]
    # Whoever signs up with the free address begins anew.
    assert make.make_subscription(
        rt, customer=make.make_customer(rt, email=merged.email)
    ).customer_id not in (kept.id, merged.id)


def test_nobody_merges_what_would_then_cost_or_be_paid_otherwise(rt: Runtime) -> None:
    kept, merged = two_accounts(rt)
    who = make_staff(rt)
    rt.session.execute(
        sa.update(Customer).where(Customer.id == kept.id).values(is_tax_exempt=True, pays_by="bank")
    )
    rt.session.commit()
    with pytest.raises(MergeRefused) as refused:
        merge_customers(rt, who, kept.public_id, merged.public_id)
    assert refused.value.params["problems"] == ["other_tax", "other_payment"]
    with pytest.raises(LookupError):
        merge_customers(rt, who, kept.public_id, "cus_nobody")
    assert count(rt, Customer, Customer.merged_into_id.is_not(None)) == 0


def test_an_account_waits_while_its_payment_has_no_answer(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
) -> None:
    kept, merged = two_accounts(rt)
    who = make_staff(rt)
    clock.advance(days=41)
    open_due(rt)
    with pytest.raises(MergeRefused) as refused:
        merge_customers(rt, who, kept.public_id, merged.public_id)
    assert refused.value.params["problems"] == ["payment_under_way"]
    run_renewals(rt)
    assert merge_customers(rt, who, kept.public_id, merged.public_id) is not None


@pytest.mark.parametrize("_round", ROUNDS)
def test_c16_accounts_merged_while_both_renew_have_one_owner_and_lose_nothing(
    app: Flask, rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, _round: int
) -> None:
    kept, merged = two_accounts(rt)
    who = make_staff(rt)
    clock.advance(days=41)

    def act(own: Runtime, number: int) -> str:
        if number:
            run_renewals(own)
            return ""
        try:
            return "merged" if merge_customers(own, who, kept.public_id, merged.public_id) else ""
        except MergeRefused as refused:
            return str(refused.params["problems"][0])

    said = in_parallel(app, 3, act)[0]
    run_renewals(rt)
    if said != "merged":
        assert said == "payment_under_way"
        merge_customers(rt, who, kept.public_id, merged.public_id)

    # Each was charged once more, and all of it has one owner.
    assert len(demo_gateway.bank.charges_since("")) == 4
    assert count(rt, SubscriptionPeriod, SubscriptionPeriod.state == "paid") >= 4
    assert count(rt, Subscription, Subscription.customer_id == kept.id) == 2
    assert count(rt, Invoice, Invoice.payer_id == kept.id) == count(rt, Invoice) == 4


@pytest.mark.parametrize("_round", ROUNDS)
def test_an_order_under_the_merged_address_is_whole_with_one_owner(
    app: Flask, rt: Runtime, demo_gateway: DemoGateway, _round: int
) -> None:
    kept, merged = two_accounts(rt)
    who = make_staff(rt)
    plan = rt.session.scalars(sa.select(Plan)).one()
    rt.session.expunge(plan)
    rt.session.rollback()
    key = begin(rt, plan, email=merged.email)
    placed = order(rt, key)
    demo_gateway.bank.choose(placed.url.rpartition("/")[2], "4242")

    def act(own: Runtime, number: int) -> object:
        if number:
            return finish_checkout(own, key).outcome
        try:
            return merge_customers(own, who, kept.public_id, merged.public_id)
        except MergeRefused as refused:
            return refused.params["problems"]

    in_parallel(app, 2, act)
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert count(rt, Subscription) == 3
    assert len(demo_gateway.bank.charges_since("")) == 3


def test_who_recommended_themselves_is_credited_nothing(rt: Runtime) -> None:
    kept, merged = two_accounts(rt)
    key = rt.session.scalar(sa.select(sa.func.max(Subscription.id)))
    rt.session.execute(
        sa.insert(Referral).values(
            giver_id=kept.id,
            friend_id=merged.id,
            subscription_id=key,
            currency="EUR",
            giver_minor=500,
            friend_minor=500,
            created_at=rt.now(),
        )
    )
    rt.session.commit()
    merge_customers(rt, make_staff(rt), kept.public_id, merged.public_id)
    row = rt.session.execute(sa.select(Referral.state, Referral.reason)).one()
    rt.session.rollback()
    assert row == ("refused", "same_person")
