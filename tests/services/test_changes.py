"""Changing plan and interval, on a real database with the demo gateway."""

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.charges import look_up
from storefront.domain.changes import ConsentMissing, NotChangeable, QuoteChanged, Wish
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.models import (
    Box,
    BoxCycle,
    ChargeAttempt,
    Consent,
    CycleGroup,
    Invoice,
    InvoiceLine,
    LedgerTransfer,
    PaymentMethod,
    Price,
    Refund,
    ScheduledChange,
    Subscription,
    SubscriptionPeriod,
)
from storefront.operations.consents import Given
from storefront.queries.invariants import broken
from storefront.services import renewals
from storefront.services.cancellations import cancel, quote_cancellation, undo_cancel
from storefront.services.changes import change, quote_change, withdraw
from storefront.services.changes_lapsed import expire_changes
from storefront.services.renewals import run_renewals
from storefront.services.skips import skip_box
from storefront.testing import factories
from tests.support.days import renew_until

AGREED = Given("I agree to it.", "change-1", "192.0.2.7", "A browser")


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def plan(rt):
    return factories.make_plan(rt, group=factories.make_group(rt, cycles=30))


@pytest.fixture
def yearly(rt, plan):
    return factories.make_price(rt, plan, amount_minor=28080, unit="year")


@pytest.fixture
def sub(rt, plan, yearly):
    return factories.make_subscription(rt, plan=plan)


def fresh(rt, model, *where):
    rt.session.rollback()
    rt.session.expire_all()
    return rt.session.scalars(sa.select(model).where(*where).order_by(model.id)).all()


def go(rt, sub, price=None, *, when="now", quantity=None, options=None):
    wanted = price.public_id if price else price_now(rt, sub)
    wish = Wish(wanted, quantity, options, when)
    quote = quote_change(rt, sub.customer_id, sub.public_id, wish)
    done = change(rt, sub.customer_id, sub.public_id, wish, quote.quote_hash, AGREED)
    return quote, done


def price_now(rt, sub):
    (row,) = fresh(rt, Subscription, Subscription.id == sub.id)
    return rt.session.get(Price, row.price_id).public_id


def test_monthly_changed_to_yearly_in_the_minute_after_sign_up_works(
    rt, sub, yearly, clock, demo_gateway
):
    clock.advance(minutes=1)

    quote, done = go(rt, sub, yearly)

    assert (quote.at_once, quote.credit.minor, quote.due_today.minor) == (True, 2600, 25480)
    assert done.outcome == "applied"
    (period,) = fresh(rt, SubscriptionPeriod)
    assert (period.start_on, period.end_on) == (date(2027, 3, 2), date(2028, 3, 2))
    assert (period.box_count, period.price_id) == (12, yearly.id)
    boxes = fresh(rt, Box)
    assert [box.ordinal for box in boxes] == list(range(1, 13))
    assert sum(box.net_minor + box.tax_minor for box in boxes) == 28080
    assert len({box.cycle_id for box in boxes}) == 12
    (row,) = fresh(rt, Subscription)
    assert (row.next_on, row.anchor_on) == (date(2028, 3, 2), date(2028, 3, 12))
    assert demo_gateway.bank.executed_total("EUR") == 28080


def test_both_invoices_are_paid_and_the_old_line_is_credited(rt, sub, yearly):
    go(rt, sub, yearly)

    invoices = fresh(rt, Invoice)
    assert [(i.state, i.number, i.total_minor) for i in invoices] == [
        (InvoiceState.PAID, 1, 2600),
        (InvoiceState.PAID, 2, 25480),
    ]
    lines = fresh(rt, InvoiceLine)
    assert [(line.kind, line.gross_minor) for line in lines] == [
        ("plan", 2600),
        ("proration_credit", -2600),
        ("proration_charge", 28080),
    ]
    assert lines[0].credited_minor == 2600
    assert lines[1].corrects_line_id == lines[0].id


def test_a_declined_change_leaves_everything_as_it_was(rt, sub, yearly, demo_gateway):
    bad = demo_gateway.bank.token_for("0002")
    rt.session.execute(sa.update(PaymentMethod).values(token=bad))
    rt.session.commit()

    _, done = go(rt, sub, yearly)

    assert done.outcome == "declined"
    (row,) = fresh(rt, Subscription)
    assert (row.price_id, row.next_on) == (sub.price_id, sub.next_on)
    assert row.renews_at is not None
    assert fresh(rt, Invoice)[1].state is InvoiceState.DISCARDED
    assert fresh(rt, ScheduledChange)[0].state == "withdrawn"
    assert len(fresh(rt, Box)) == 1


def test_while_a_change_is_paid_the_subscription_takes_no_other(rt, sub, yearly, demo_gateway):
    lost = demo_gateway.bank.token_for("0408")
    rt.session.execute(sa.update(PaymentMethod).values(token=lost))
    rt.session.commit()

    _, done = go(rt, sub, yearly)

    assert done.outcome == "waiting"
    with pytest.raises(NotChangeable):
        quote_change(rt, sub.customer_id, sub.public_id, Wish(yearly.public_id))
    look_up(rt, fresh(rt, ChargeAttempt)[-1].id)
    assert fresh(rt, Subscription)[0].price_id == yearly.id


def test_a_change_the_customer_never_confirms_is_given_up(rt, sub, yearly, clock, demo_gateway):
    asks = demo_gateway.bank.token_for("3220")
    rt.session.execute(sa.update(PaymentMethod).values(token=asks))
    rt.session.commit()
    _, done = go(rt, sub, yearly)
    assert done.outcome == "action"

    clock.advance(hours=2)
    assert expire_changes(rt) == 1

    (row,) = fresh(rt, Subscription)
    assert row.renews_at is not None
    assert row.price_id == sub.price_id


def test_a_change_can_wait_for_the_boundary(rt, sub, yearly, clock):
    clock.advance(days=3)

    quote, done = go(rt, sub, yearly, when="boundary")

    assert (quote.at_once, quote.due_today.minor) == (False, 0)
    assert (quote.effective_on, done.outcome) == (date(2027, 4, 12), "scheduled")


def test_a_waiting_change_is_applied_and_charged_by_the_renewal(
    rt, sub, yearly, clock, demo_gateway
):
    clock.advance(days=3)
    go(rt, sub, yearly, when="boundary")
    renew_until(rt, clock, date(2027, 4, 12))

    (row,) = fresh(rt, Subscription)
    assert (row.price_id, row.next_on) == (yearly.id, date(2028, 4, 12))
    assert fresh(rt, Invoice)[-1].total_minor == 28080
    assert len(fresh(rt, Box)) == 13
    assert fresh(rt, ScheduledChange)[0].state == "applied"


@pytest.mark.parametrize("when", ["boundary", "now"])
def test_a_skipped_box_is_no_payment_that_a_change_could_name(
    rt, sub, plan, clock, demo_gateway, when
):
    clock.advance(days=3)
    big = factories.make_plan(rt, group=rt.session.get_one(CycleGroup, plan.cycle_group_id))
    dearer = factories.make_price(rt, big, amount_minor=4200)
    april = rt.session.scalar(
        sa.select(BoxCycle.public_id).where(BoxCycle.charge_on == date(2027, 4, 12))
    )
    rt.session.rollback()
    skip_box(rt, sub.customer_id, sub.public_id, april)
    quote, _done = go(rt, sub, dearer, when=when)

    assert quote.next_charge_on == date(2027, 5, 12)
    if when == "boundary":
        assert quote.effective_on == date(2027, 5, 12)
    before = len(fresh(rt, Invoice))
    renew_until(rt, clock, date(2027, 5, 11))
    assert len(fresh(rt, Invoice)) == before
    renew_until(rt, clock, date(2027, 5, 12))
    assert fresh(rt, Invoice)[-1].total_minor == 4200
    assert fresh(rt, Subscription)[0].price_id == dearer.id


def test_a_withdrawn_change_is_not_applied(rt, sub, yearly, clock):
    clock.advance(days=3)
    go(rt, sub, yearly, when="boundary")

    assert withdraw(rt, sub.customer_id, sub.public_id)
    assert not withdraw(rt, sub.customer_id, sub.public_id)
    renew_until(rt, clock, date(2027, 4, 12))

    assert fresh(rt, Subscription)[0].price_id == sub.price_id
    assert fresh(rt, Invoice)[-1].total_minor == 2600


def test_another_quote_than_the_one_shown_is_refused(rt, sub, yearly):
    with pytest.raises(QuoteChanged):
        change(rt, sub.customer_id, sub.public_id, Wish(yearly.public_id), "stale")
    assert fresh(rt, ScheduledChange) == []


def test_somebody_elses_subscription_is_not_there(rt, sub, yearly):
    with pytest.raises(LookupError):
        quote_change(rt, sub.customer_id + 1, sub.public_id, Wish(yearly.public_id))


def test_the_books_know_what_was_really_paid(rt, sub, yearly):
    go(rt, sub, yearly)
    balances = {}
    for row in fresh(rt, LedgerTransfer):
        balances[row.debit] = balances.get(row.debit, 0) + row.amount_minor
        balances[row.credit] = balances.get(row.credit, 0) - row.amount_minor
    assert balances["clearing:demo"] == 28080
    assert balances["receivable"] == 0


@pytest.mark.parametrize(("old", "new"), [("standard", "reduced"), ("reduced", "standard")])
def test_a_change_to_another_tax_class_is_booked_and_applied(rt, old, new):
    group = factories.make_group(rt, cycles=30)
    before = factories.make_plan(rt, group=group, tax_class=old)
    after = factories.make_plan(rt, group=group, tax_class=new, amount_minor=2700)
    sub = factories.make_subscription(rt, plan=before)

    quote, done = go(rt, sub, factories.price_of(rt, after))

    assert (quote.due_today.minor, done.outcome) == (100, "applied")
    assert done.paid == quote.due_today
    assert fresh(rt, Subscription)[0].plan_id == after.id


def between_reading_and_writing(monkeypatch, work):
    """Let ``work`` happen once, after a renewal has read its batch and before it writes."""
    write, todo = renewals._write, [work]

    def first(*args):
        while todo:
            todo.pop()()
        return write(*args)

    monkeypatch.setattr(renewals, "_write", first)


def to_the_renewal(rt, clock):
    renew_until(rt, clock, date(2027, 4, 11))
    clock.advance(days=1)


def test_a_change_withdrawn_while_the_renewal_runs_is_not_charged(
    rt, sub, yearly, clock, monkeypatch
):
    clock.advance(days=3)
    go(rt, sub, yearly, when="boundary")
    to_the_renewal(rt, clock)
    between_reading_and_writing(monkeypatch, lambda: withdraw(rt, sub.customer_id, sub.public_id))

    run_renewals(rt)
    run_renewals(rt)

    assert fresh(rt, Invoice)[-1].total_minor == 2600
    assert fresh(rt, Subscription)[0].price_id == sub.price_id
    assert fresh(rt, ScheduledChange)[0].state == "withdrawn"


def test_a_change_scheduled_while_the_renewal_runs_is_not_passed_over(
    rt, sub, yearly, clock, monkeypatch
):
    to_the_renewal(rt, clock)
    between_reading_and_writing(monkeypatch, lambda: go(rt, sub, yearly, when="boundary"))

    run_renewals(rt)
    run_renewals(rt)

    assert fresh(rt, Invoice)[-1].total_minor == 28080
    assert fresh(rt, ScheduledChange)[0].state == "applied"


def test_an_option_is_paid_for_every_box_of_the_longer_period(rt, plan, yearly):
    factories.make_options(rt, plan, code="size", choices=[("big", "Big", 400)])
    sub = factories.make_subscription(rt, plan=plan, options={"size": "big"})

    quote, done = go(rt, sub, yearly)

    assert (quote.amount.minor, quote.credit.minor) == (28080 + 12 * 400, 3000)
    assert (quote.due_today.minor, done.outcome) == (28080 + 12 * 400 - 3000, "applied")
    assert sum(box.net_minor + box.tax_minor for box in fresh(rt, Box)) == 28080 + 12 * 400


def test_a_discount_that_lasts_lowers_the_longer_period_too(rt, plan, yearly):
    factories.make_code(rt, "ALWAYS", duration="forever")
    sub = factories.make_subscription(rt, plan=plan, code="ALWAYS")

    quote, done = go(rt, sub, yearly)

    assert (quote.credit.minor, quote.due_today.minor) == (2340, 25272 - 2340)
    assert done.outcome == "applied"
    (row,) = fresh(rt, Subscription)
    assert row.mrr_minor == fresh(rt, SubscriptionPeriod)[0].mrr_minor
    assert fresh(rt, InvoiceLine)[-1].text.endswith("(ALWAYS)")


def test_a_discount_that_is_used_up_does_not_lower_a_later_change(rt, plan, yearly, clock):
    factories.make_code(rt, "HELLO", duration="once")
    sub = factories.make_subscription(rt, plan=plan, code="HELLO")
    clock.advance(days=3)

    quote, _ = go(rt, sub, yearly)

    assert quote.due_today.minor == 28080 - 2340


def test_who_leaves_while_a_change_is_paid_gets_late_money_back(rt, sub, yearly, demo_gateway):
    lost = demo_gateway.bank.token_for("0408")
    rt.session.execute(sa.update(PaymentMethod).values(token=lost))
    rt.session.commit()
    go(rt, sub, yearly)

    assert quote_cancellation(rt, sub.customer_id, sub.public_id).in_flight
    assert cancel(rt, sub.customer_id, sub.public_id).in_flight
    look_up(rt, fresh(rt, ChargeAttempt)[-1].id)

    (row,) = fresh(rt, Subscription)
    assert (row.price_id, row.next_on, row.cancel_on) == (sub.price_id, sub.next_on, sub.next_on)
    attempt = fresh(rt, ChargeAttempt)[-1]
    assert (attempt.state, attempt.refunded_minor) == (AttemptState.SUCCEEDED, 25480)
    assert fresh(rt, Refund)[0].amount_minor == 25480
    assert fresh(rt, Invoice)[-1].state is InvoiceState.DISCARDED


def test_a_change_left_at_the_bank_by_somebody_who_leaves_is_given_up(
    rt, sub, yearly, clock, demo_gateway
):
    asks = demo_gateway.bank.token_for("3220")
    rt.session.execute(sa.update(PaymentMethod).values(token=asks))
    rt.session.commit()
    go(rt, sub, yearly)
    cancel(rt, sub.customer_id, sub.public_id)

    clock.advance(hours=2)

    assert expire_changes(rt) == 1
    assert fresh(rt, ChargeAttempt)[-1].state is AttemptState.ABANDONED
    assert fresh(rt, Subscription)[0].cancel_on == sub.next_on


def test_a_scheduled_change_goes_with_the_cancellation_and_does_not_come_back(
    rt, sub, yearly, clock
):
    clock.advance(days=3)
    go(rt, sub, yearly, when="boundary")

    assert not cancel(rt, sub.customer_id, sub.public_id).in_flight
    assert undo_cancel(rt, sub.customer_id, sub.public_id)

    assert fresh(rt, ScheduledChange)[0].state == "withdrawn"


@pytest.mark.parametrize("days", [0, 3])
def test_what_is_agreed_to_with_another_interval_is_kept(rt, sub, yearly, clock, days):
    clock.advance(days=days)
    kept = len(fresh(rt, Consent))

    quote, _ = go(rt, sub, yearly, when="now" if days == 0 else "boundary")

    assert (quote.asks_consent, quote.at_once) == (True, days == 0)
    new = fresh(rt, Consent)[kept:]
    assert [(one.subscription_id, one.customer_id) for one in new] == [(sub.id, sub.customer_id)]
    (one,) = new
    assert (one.text, one.text_version) == ("I agree to it.", "change-1")
    assert (one.amount_minor, one.currency, one.interval) == (28080, "EUR", str(quote.interval))
    assert (one.ip, one.user_agent, one.given_at) == ("192.0.2.7", "A browser", rt.now())


@pytest.mark.parametrize("days", [0, 3])
def test_without_agreement_to_a_new_interval_nothing_is_booked(rt, sub, yearly, clock, days):
    clock.advance(days=days)
    quote = quote_change(rt, sub.customer_id, sub.public_id, Wish(yearly.public_id))

    with pytest.raises(ConsentMissing):
        change(rt, sub.customer_id, sub.public_id, Wish(yearly.public_id), quote.quote_hash)

    assert fresh(rt, ScheduledChange) == []
    assert len(fresh(rt, ChargeAttempt)) == 1


@pytest.mark.parametrize(("minor", "asks"), [(2700, True), (2500, False)])
def test_a_dearer_plan_is_agreed_to_and_a_cheaper_one_is_not(rt, plan, sub, clock, minor, asks):
    clock.advance(days=3)
    other = factories.make_plan(rt, group=rt.session.get(CycleGroup, plan.cycle_group_id))
    price = factories.make_price(rt, other, amount_minor=minor)
    kept = len(fresh(rt, Consent))

    quote, done = go(rt, sub, price)

    assert (quote.asks_consent, done.outcome) == (asks, "applied" if asks else "scheduled")
    assert len(fresh(rt, Consent)) == kept + asks


def test_a_change_that_is_dearer_only_after_its_discount_is_agreed_to(rt, plan, clock):
    factories.make_code(rt, "ALWAYS", duration="forever", percent=100)
    sub = factories.make_subscription(rt, plan=plan, code="ALWAYS")
    clock.advance(days=3)
    other = factories.make_plan(rt, group=rt.session.get(CycleGroup, plan.cycle_group_id))
    price = factories.make_price(rt, other, amount_minor=2700)

    quote = quote_change(rt, sub.customer_id, sub.public_id, Wish(price.public_id))

    assert (quote.amount.minor, quote.asks_consent) == (0, True)


def test_an_agreement_is_not_kept_without_its_change(rt, sub, yearly):
    kept = len(fresh(rt, Consent))

    with pytest.raises(QuoteChanged):
        change(rt, sub.customer_id, sub.public_id, Wish(yearly.public_id), "stale", AGREED)

    assert len(fresh(rt, Consent)) == kept
