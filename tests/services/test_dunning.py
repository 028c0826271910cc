"""The chase after a decline, on a real database with the demo gateway."""

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import EndReason, SubscriptionState
from storefront.models import (
    Box,
    ChargeAttempt,
    CreditNote,
    DunningCase,
    GatewaySetup,
    Invoice,
    LedgerTransfer,
    OutboxMessage,
    PaymentMethod,
    Subscription,
)
from storefront.queries.invariants import broken
from storefront.services.dunning import chase_due
from storefront.services.methods import Paid, begin_card, finish_card, pay_now
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


@pytest.fixture
def broke(rt, clock):
    """The same with a card that has no money when its customer pays either."""
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE, card="9995")
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


def pay(rt):
    invoice = only(rt, Invoice)
    return pay_now(rt, invoice.payer_id, invoice.public_id)


def save_card(rt, demo_gateway, card):
    customer_id = only(rt, Subscription).customer_id
    page = begin_card(rt, customer_id, "https://shop.test/account/payment/card")
    reference = page.rpartition("/")[2]
    demo_gateway.bank.choose(reference, card)
    rt.session.rollback()
    setup = rt.session.scalar(
        sa.select(GatewaySetup.public_id).order_by(GatewaySetup.id.desc()).limit(1)
    )
    finish_card(rt, customer_id, setup, {})


def mails(rt, topic):
    rt.session.rollback()
    return rt.session.scalar(
        sa.select(sa.func.count()).select_from(OutboxMessage).where(OutboxMessage.topic == topic)
    )


def test_what_the_customer_tries_neither_shortens_nor_uses_up_the_schedule(rt, clock, broke):
    before = only(rt, DunningCase)
    waits = (before.step, before.next_at, before.next_action)

    assert [pay(rt) for _ in range(3)] == [Paid.DECLINED] * 3
    chase_due(rt)

    case = only(rt, DunningCase)
    assert (case.step, case.next_at, case.next_action) == waits
    assert only(rt, Subscription).state is SubscriptionState.PAST_DUE


def test_pay_now_is_let_through_three_times_a_day_with_one_card(rt, clock, broke):
    assert [pay(rt) for _ in range(4)] == [Paid.DECLINED] * 3 + [Paid.TRIED_TODAY]

    clock.advance(days=1)

    assert pay(rt) is Paid.DECLINED


def test_a_card_just_saved_that_is_declined_leaves_the_schedule_as_it_was(
    rt, clock, declined, demo_gateway
):
    due = only(rt, DunningCase).next_at
    for card in ("0341", "0069"):
        save_card(rt, demo_gateway, card)
        chase_due(rt)

    case = only(rt, DunningCase)
    assert (case.step, case.next_at, case.next_action) == (0, due, "retry")
    assert case.resume_at is None
    assert only(rt, Subscription).state is SubscriptionState.PAST_DUE


def test_without_a_usable_card_the_customer_is_asked_until_the_schedule_ends(rt, clock, declined):
    rt.session.execute(sa.update(PaymentMethod).values(refused_at=rt.now()))
    rt.session.commit()

    walk(rt, clock, 14)
    assert only(rt, Subscription).state is SubscriptionState.PAST_DUE
    walk(rt, clock, 1)
    assert only(rt, Subscription).state is SubscriptionState.CANCELED


def test_one_mail_about_a_failed_payment_leaves_in_24_hours(rt, clock, broke):
    pay(rt)
    pay(rt)
    assert mails(rt, "payment_failed") == 1

    clock.advance(days=1, minutes=1)
    pay(rt)

    assert mails(rt, "payment_failed") == 2


def test_the_tries_are_made_on_the_days_after_the_first_decline(rt, clock, declined):
    tried = {}
    for day in range(1, 20):
        walk(rt, clock, 1)
        tried[day] = rt.session.scalar(sa.select(sa.func.count()).select_from(ChargeAttempt))

    assert [day for day in tried if tried[day] > tried.get(day - 1, 1)] == [3, 8, 15]
    assert only(rt, Subscription).state is SubscriptionState.CANCELED


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
