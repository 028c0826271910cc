"""The chase after a decline, on a real database with the demo gateway."""

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import EndReason, SubscriptionState
from storefront.models import (
    Box,
    CreditNote,
    DunningCase,
    GatewaySetup,
    Invoice,
    LedgerTransfer,
    PaymentMethod,
    Subscription,
)
from storefront.queries.invariants import broken
from storefront.services.dunning import chase_due
from storefront.services.methods import begin_card, finish_card
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.testing import factories
from storefront.testing.population import populate

DUE = date(2027, 3, 12)


@pytest.fixture(autouse=True)
def invariants(rt):
    """After each story everything that must always hold still holds."""
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def declined(rt, clock):
    """A subscriber whose renewal of 12 March was declined softly."""
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE, card="0341")
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)


def only(rt, model):
    rt.session.rollback()
    rt.session.expire_all()
    return rt.session.scalars(sa.select(model)).one()


def walk(rt, clock, days):
    for _ in range(days):
        rt.session.rollback()
        clock.advance(days=1)
        chase_due(rt)
        run_renewals(rt)


def test_a_retry_that_succeeds_reactivates_and_makes_the_box(rt, clock, declined, demo_gateway):
    good = demo_gateway.bank.token_for("4242")
    rt.session.execute(sa.update(PaymentMethod).values(token=good, refused_at=None))
    rt.session.commit()

    walk(rt, clock, 3)

    assert only(rt, Subscription).state is SubscriptionState.ACTIVE
    assert only(rt, Invoice).state is InvoiceState.PAID
    assert only(rt, DunningCase).state == "recovered"
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Box)) == 1
    assert demo_gateway.bank.executed_count() == 1


def test_a_new_card_after_a_hard_decline_is_tried_at_once(rt, clock, demo_gateway):
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE, card="0069")
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)
    assert only(rt, DunningCase).next_action == "last_action"
    customer_id = only(rt, Subscription).customer_id
    page = begin_card(rt, customer_id, "https://shop.test/account/payment/card")
    demo_gateway.bank.choose(page.rpartition("/")[2], "4242")
    setup = only(rt, GatewaySetup).public_id

    finish_card(rt, customer_id, setup, {})
    chase_due(rt)

    assert only(rt, Invoice).state is InvoiceState.PAID
    assert only(rt, Subscription).state is SubscriptionState.ACTIVE
    assert only(rt, DunningCase).state == "recovered"


def test_after_the_last_retry_the_subscription_ends_and_owes_nothing(
    rt, clock, declined, demo_gateway
):
    walk(rt, clock, 25)

    subscription = only(rt, Subscription)
    assert subscription.state is SubscriptionState.CANCELED
    assert subscription.end_reason is EndReason.UNPAID
    invoice = only(rt, Invoice)
    assert (invoice.state, invoice.due_minor) == (InvoiceState.VOID, 0)
    assert only(rt, CreditNote).total_minor == 2600
    assert demo_gateway.bank.executed_count() == 0


def test_the_books_of_a_lost_chase_come_back_to_zero(rt, clock, declined):
    walk(rt, clock, 25)

    balances = {}
    for row in rt.session.scalars(sa.select(LedgerTransfer)):
        balances[row.debit] = balances.get(row.debit, 0) + row.amount_minor
        balances[row.credit] = balances.get(row.credit, 0) - row.amount_minor
    assert set(balances.values()) == {0}


def test_a_surplus_is_sent_back_once(rt, clock, demo_gateway):
    from storefront.domain.charging import AnswerStatus, AttemptState
    from storefront.domain.gateways import ChargeAnswer
    from storefront.models import ChargeAttempt, Refund
    from storefront.operations.charging import AttemptDraft, plan_attempts
    from storefront.operations.results import Result, record_results

    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE)
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)
    first = only(rt, ChargeAttempt)
    draft = AttemptDraft(
        first.invoice_id, 2, "demo", first.account, first.payment_method_id, "", 2600, "EUR"
    )
    ((key, reference),) = plan_attempts(rt.session, [draft], rt.moment(), AttemptState.SENT)
    rt.session.commit()
    from storefront import charges

    charges.charge_now(rt, [key])
    record_results(
        rt.session, [Result(reference, ChargeAnswer(AnswerStatus.SUCCEEDED))], rt.moment()
    )
    rt.session.commit()

    send_refunds(rt)
    send_refunds(rt)

    refund = only(rt, Refund)
    assert (refund.state, refund.amount_minor) == (AttemptState.SUCCEEDED, 2600)
    assert demo_gateway.bank.refund_of(refund.public_id).status == "succeeded"


def test_a_renewal_on_a_card_that_was_refused_elsewhere_is_chased_not_stuck(
    rt, clock, demo_gateway
):
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE)
    rt.session.execute(sa.update(PaymentMethod).values(refused_at=rt.now()))
    rt.session.commit()
    clock.advance(days=(DUE - rt.today()).days)

    run_renewals(rt)

    assert only(rt, Subscription).state is SubscriptionState.PAST_DUE
    assert only(rt, DunningCase).next_at is not None
    assert demo_gateway.bank.executed_count() == 0


def test_a_chase_waits_while_its_subscription_is_on_hold(rt, clock, declined):
    rt.session.execute(sa.update(Subscription).values(held_at=rt.now()))
    rt.session.commit()
    walk(rt, clock, 25)
    assert only(rt, DunningCase).state == "open"

    rt.session.execute(sa.update(Subscription).values(held_at=None))
    rt.session.commit()
    walk(rt, clock, 30)
    assert only(rt, Subscription).state is SubscriptionState.CANCELED
