"""Renewals on a real database with the demo gateway."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront.charges import look_up_open, send_planned
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import PeriodKind, SubscriptionState
from storefront.models import (
    Box,
    BoxCycle,
    BoxSkip,
    ChargeAttempt,
    Invoice,
    LedgerTransfer,
    Movement,
    OutboxMessage,
    ParkedWork,
    PaymentMethod,
    Refund,
    ShopSettings,
    Subscription,
    SubscriptionPeriod,
)
from storefront.queries.invariants import broken
from storefront.services.renewals import open_due, run_renewals
from storefront.testing import factories
from storefront.testing.population import populate

DUE = date(2027, 3, 12)


@pytest.fixture
def plan(rt):
    return factories.make_plan(rt)


@pytest.fixture(autouse=True)
def invariants(rt):
    """After each story everything that must always hold still holds."""
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def due(rt, plan, clock):
    """Subscribe ``count`` customers and let the day come on which they renew."""

    def make(count: int = 1, card: str = "4242") -> list[int]:
        ids = populate(rt, plan, factories.price_of(rt, plan), count, DUE, card=card)
        clock.advance(days=(DUE - rt.today()).days)
        return ids

    return make


def rows(rt, model, *where):
    found = rt.session.scalars(sa.select(model).where(*where).order_by(model.id)).all()
    rt.session.rollback()
    return found


def only(rt, model, *where):
    found = rt.session.scalars(sa.select(model).where(*where)).all()
    assert len(found) == 1
    rt.session.expunge_all()
    rt.session.rollback()
    return found[0]


def count(rt, model, *where):
    number = rt.session.scalar(sa.select(sa.func.count()).select_from(model).where(*where))
    rt.session.rollback()
    return number


def test_a_due_period_is_invoiced_charged_and_yields_its_box(rt, due, demo_gateway):
    (subscription_id,) = due()

    report = run_renewals(rt)

    assert (report.billed, report.charges.settled) == (1, 1)
    subscription = only(rt, Subscription, Subscription.id == subscription_id)
    assert subscription.state is SubscriptionState.ACTIVE
    assert subscription.next_on == date(2027, 4, 12)
    invoice = only(rt, Invoice)
    assert (invoice.state, invoice.number, invoice.paid_minor) == (InvoiceState.PAID, 1, 2600)
    assert (
        only(rt, Box).period_id == only(rt, SubscriptionPeriod, SubscriptionPeriod.number == 1).id
    )
    assert demo_gateway.bank.executed_count() == 1


def test_running_twice_bills_once(rt, due, demo_gateway):
    due(3)

    run_renewals(rt)
    run_renewals(rt)

    assert demo_gateway.bank.executed_count() == 3
    assert count(rt, Invoice) == 3
    assert count(rt, Box) == 3


def test_the_books_balance_and_nothing_stays_receivable(rt, due):
    due(5)
    run_renewals(rt)

    balances: dict[str, int] = {}
    for transfer in rows(rt, LedgerTransfer):
        balances[transfer.debit] = balances.get(transfer.debit, 0) + transfer.amount_minor
        balances[transfer.credit] = balances.get(transfer.credit, 0) - transfer.amount_minor

    assert balances["receivable"] == 0
    assert balances["clearing:demo"] == 5 * 2600
    assert sum(balances.values()) == 0


def test_a_declined_renewal_goes_past_due_and_makes_no_box(rt, due):
    due(card="0341")

    run_renewals(rt)

    assert only(rt, Subscription).state is SubscriptionState.PAST_DUE
    assert only(rt, Invoice).state is InvoiceState.OPEN
    assert count(rt, Box) == 0
    assert only(rt, OutboxMessage).topic == "payment_failed"


def test_a_lost_answer_is_looked_up_and_never_charged_twice(rt, due, clock, demo_gateway):
    due(card="0408")
    run_renewals(rt)
    assert only(rt, ChargeAttempt).state is AttemptState.UNKNOWN
    assert count(rt, Box) == 0

    run_renewals(rt)
    clock.advance(minutes=6)
    look_up_open(rt)

    assert only(rt, ChargeAttempt).state is AttemptState.SUCCEEDED
    assert only(rt, Invoice).state is InvoiceState.PAID
    assert count(rt, Box) == 1
    assert demo_gateway.bank.executed_count() == 1


def test_a_charge_that_never_arrived_is_asked_again(rt, due, clock, demo_gateway):
    due()
    demo_gateway.bank.set_fault("down")
    run_renewals(rt)
    demo_gateway.bank.set_fault("down", is_on=False)

    clock.advance(minutes=6)
    look_up_open(rt)
    run_renewals(rt)

    assert only(rt, Invoice).state is InvoiceState.PAID
    assert demo_gateway.bank.executed_count() == 1


def test_a_charge_older_than_a_look_up_reaches_frees_no_invoice(
    rt, due, clock, demo_gateway, monkeypatch
):
    reach = timedelta(days=31)
    can = replace(
        demo_gateway.capabilities,
        key_window_seconds=0,
        lookup_reach_seconds=int(reach.total_seconds()),
    )
    monkeypatch.setattr(demo_gateway, "capabilities", can)
    due()
    demo_gateway.bank.set_fault("down")
    run_renewals(rt)
    demo_gateway.bank.set_fault("down", is_on=False)

    # For so long nobody could ask: the gateway was stopped, or its plugin off.
    clock.advance(days=32)
    look_up_open(rt)

    assert only(rt, ChargeAttempt).state is AttemptState.UNKNOWN


def test_a_skipped_cycle_is_neither_charged_nor_packed(rt, due, demo_gateway):
    (subscription_id,) = due()
    cycle = rt.session.scalar(sa.select(BoxCycle.id).where(BoxCycle.charge_on == DUE))
    rt.session.add(BoxSkip(subscription_id=subscription_id, cycle_id=cycle, created_at=rt.now()))
    rt.session.commit()

    report = run_renewals(rt)

    assert (report.skipped, report.billed) == (1, 0)
    period = only(rt, SubscriptionPeriod, SubscriptionPeriod.number == 1)
    assert (period.kind, period.end_on) == (PeriodKind.SKIPPED, date(2027, 4, 12))
    assert count(rt, Invoice) == 0
    assert demo_gateway.bank.executed_count() == 0


def test_a_cancellation_ends_the_subscription_at_its_boundary(rt, due):
    (subscription_id,) = due()
    rt.session.execute(
        sa.update(Subscription)
        .where(Subscription.id == subscription_id)
        .values(cancel_on=DUE, canceled_at=rt.now())
    )
    rt.session.commit()

    report = run_renewals(rt)

    assert report.ended == 1
    assert only(rt, Subscription).state is SubscriptionState.CANCELED
    assert count(rt, Invoice) == 0
    moved = [m.delta_minor for m in rows(rt, Movement)]
    assert sum(moved) == 0


def test_a_customer_who_cancels_between_planned_and_sent_is_not_charged(rt, due, demo_gateway):
    due()
    open_due(rt)
    assert only(rt, ChargeAttempt).state is AttemptState.PLANNED

    rt.session.execute(sa.update(Subscription).values(state=SubscriptionState.CANCELED))
    rt.session.commit()
    send_planned(rt)

    assert only(rt, ChargeAttempt).state is AttemptState.ABANDONED
    assert demo_gateway.bank.executed_count() == 0


def test_a_second_success_for_a_paid_invoice_is_refunded_once(rt, due, clock):
    from storefront.domain.charging import AnswerStatus
    from storefront.domain.gateways import ChargeAnswer
    from storefront.operations.charging import AttemptDraft, plan_attempts
    from storefront.operations.results import Result, record_results

    due()
    run_renewals(rt)
    first = only(rt, ChargeAttempt)
    ((_, reference),) = plan_attempts(
        rt.session,
        [
            AttemptDraft(
                first.invoice_id, 2, "demo", first.account, first.payment_method_id, "", 2600, "EUR"
            )
        ],
        rt.moment(),
        AttemptState.SENT,
    )
    answer = Result(reference, ChargeAnswer(AnswerStatus.SUCCEEDED, "again"))
    record_results(rt.session, [answer], rt.moment())
    record_results(rt.session, [answer], rt.moment())
    rt.session.commit()

    assert only(rt, Refund).amount_minor == 2600
    assert count(rt, Box) == 1
    assert only(rt, ChargeAttempt, ChargeAttempt.number == 2).settles is False


def test_rows_before_a_broken_one_finish_and_the_broken_one_is_parked(rt, due, demo_gateway):
    ids = due(20)
    # Its next period would take the number of the one it has.
    rt.session.execute(
        sa.update(Subscription).where(Subscription.id == ids[10]).values(next_number=0)
    )
    rt.session.commit()

    report = run_renewals(rt)

    assert (report.billed, report.parked) == (19, 1)
    assert demo_gateway.bank.executed_count() == 19
    assert only(rt, ParkedWork).kind == "renewal"


def test_a_long_outage_holds_instead_of_charging(rt, due, clock, demo_gateway):
    due()
    clock.advance(days=3)

    report = run_renewals(rt)

    assert report.held == 1
    assert only(rt, Subscription).held_at is not None
    assert demo_gateway.bank.executed_count() == 0


def test_no_transaction_is_open_while_the_gateway_thinks(rt, due, demo_gateway, monkeypatch):
    due()
    charge, seen = demo_gateway.charge, []

    def spy(order):
        seen.append(rt.session().in_transaction())
        return charge(order)

    monkeypatch.setattr(demo_gateway, "charge", spy)
    run_renewals(rt)

    assert seen == [False]


def test_an_unknown_charge_is_not_asked_again_while_charging_is_held(rt, due, clock, demo_gateway):
    due()
    demo_gateway.bank.set_fault("down")
    run_renewals(rt)
    demo_gateway.bank.set_fault("down", is_on=False)
    rt.session.execute(sa.update(ShopSettings).values(charging_held_at=rt.now()))
    rt.session.commit()
    rt.forget_shop()

    clock.advance(minutes=6)
    look_up_open(rt)

    assert demo_gateway.bank.executed_count() == 0


def test_a_charge_without_an_answer_is_looked_up_for_ever_and_shown_to_a_person(
    rt, due, clock, demo_gateway
):
    due()
    demo_gateway.bank.set_fault("down")
    run_renewals(rt)
    for _ in range(9):
        rt.session.rollback()
        clock.advance(days=1)
        look_up_open(rt)
    assert only(rt, ParkedWork).reason == "no_answer"
    assert only(rt, ChargeAttempt).check_at is not None


def test_a_card_is_not_asked_more_often_than_the_schemes_allow(rt, due, demo_gateway):
    due(12)
    rt.session.execute(sa.update(PaymentMethod).values(fingerprint="one and the same card"))
    rt.session.commit()

    for _ in range(12):
        run_renewals(rt, limit=1)

    assert demo_gateway.bank.executed_count() == 9
