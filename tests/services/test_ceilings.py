"""No way to charge a card exceeds what the card schemes allow per card and amount."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from storefront.charges import send_planned
from storefront.domain.changes import Wish
from storefront.domain.charging import MAX_TRIES_PER_DAY, AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.models import (
    ChargeAttempt,
    GatewaySetup,
    Invoice,
    PaymentMethod,
    Subscription,
)
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.checkout import find_checkout
from storefront.operations.consents import Given
from storefront.queries.invariants import broken
from storefront.services.changes import change, quote_change
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.methods import Paid, pay_now
from storefront.services.renewals import run_renewals
from storefront.testing import factories
from storefront.testing.population import populate
from tests.support.orders import begin, choose, order

AGREED = Given("I agree.", "renewal-1", "192.0.2.1", "UA")
ONE_CARD = "one and the same card"


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def plan(rt):
    return factories.make_plan(rt, group=factories.make_group(rt, cycles=30))


def tried(rt, fingerprint, amount_minor, times=MAX_TRIES_PER_DAY):
    """Let somebody's card have been asked ``times`` times for an amount a little earlier."""
    plan = factories.make_plan(rt, group=factories.make_group(rt))
    other = factories.make_subscription(rt, plan=plan)
    first = rt.session.scalars(
        sa.select(ChargeAttempt).join(
            Invoice,
            sa.and_(Invoice.id == ChargeAttempt.invoice_id, Invoice.payer_id == other.customer_id),
        )
    ).first()
    drafts = [
        AttemptDraft(
            first.invoice_id,
            n,
            "demo",
            first.account,
            first.payment_method_id,
            fingerprint,
            amount_minor,
            "EUR",
        )
        for n in range(2, 2 + times)
    ]
    for draft in drafts:
        [(key, _)] = plan_attempts(rt.session, [draft], rt.moment(), AttemptState.SENT)
        rt.session.execute(
            sa.update(ChargeAttempt)
            .where(ChargeAttempt.id == key)
            .values(state=AttemptState.DECLINED, check_at=None, answered_at=rt.now())
        )
    rt.session.commit()


def one_card(rt):
    rt.session.execute(sa.update(PaymentMethod).values(fingerprint=ONE_CARD))
    rt.session.commit()


def test_one_run_asks_a_card_no_more_often_than_the_schemes_allow(rt, plan, clock, demo_gateway):
    populate(rt, plan, factories.price_of(rt, plan), 12, rt.today() + timedelta(days=10))
    one_card(rt)
    clock.advance(days=10)

    run_renewals(rt)

    assert demo_gateway.bank.executed_count() == MAX_TRIES_PER_DAY
    clock.advance(days=1, minutes=1)
    send_planned(rt)
    assert demo_gateway.bank.executed_count() == 12


def test_paying_now_stops_at_the_ceiling_and_another_card_may_pay(rt, plan, clock):
    populate(
        rt, plan, factories.price_of(rt, plan), 1, rt.today() + timedelta(days=10), card="9995"
    )
    clock.advance(days=10)
    run_renewals(rt)
    owed = rt.session.scalars(sa.select(Invoice).where(Invoice.state == InvoiceState.OPEN)).one()
    payer, reference, minor = owed.payer_id, owed.public_id, owed.due_minor
    rt.session.execute(
        sa.update(PaymentMethod)
        .where(PaymentMethod.customer_id == payer)
        .values(fingerprint=ONE_CARD, refused_at=None)
    )
    rt.session.commit()
    tried(rt, ONE_CARD, minor)

    assert pay_now(rt, payer, reference) is Paid.TOO_OFTEN
    attempts = (
        sa.select(sa.func.count())
        .select_from(ChargeAttempt)
        .join(Invoice, Invoice.id == ChargeAttempt.invoice_id)
    )
    assert rt.session.scalar(attempts.where(Invoice.public_id == reference)) == 1
    rt.session.execute(
        sa.update(PaymentMethod)
        .where(PaymentMethod.customer_id == payer)
        .values(fingerprint="another card")
    )
    rt.session.commit()
    assert pay_now(rt, payer, reference) is not Paid.TOO_OFTEN


def test_a_change_of_plan_is_refused_at_the_ceiling_and_nothing_changes(rt, plan, demo_gateway):
    yearly = factories.make_price(rt, plan, amount_minor=28080, unit="year")
    sub = factories.make_subscription(rt, plan=plan)
    asked = quote_change(rt, sub.customer_id, sub.public_id, Wish(yearly.public_id))
    rt.session.execute(
        sa.update(PaymentMethod)
        .where(PaymentMethod.customer_id == sub.customer_id)
        .values(fingerprint=ONE_CARD)
    )
    rt.session.commit()
    tried(rt, ONE_CARD, asked.due_today.minor)
    before = demo_gateway.bank.executed_count()

    wish = Wish(yearly.public_id)
    done = change(rt, sub.customer_id, sub.public_id, wish, asked.quote_hash, AGREED)

    assert (done.outcome, done.reason) == ("declined", "retry_limit")
    assert demo_gateway.bank.executed_count() == before
    rt.session.expire_all()
    assert rt.session.get(Subscription, sub.id).price_id == factories.price_of(rt, plan).id


def test_a_checkout_at_the_ceiling_stays_open_for_another_card(rt, plan, demo_gateway):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))
    tried(rt, _fingerprint_of_the_next_card(rt, demo_gateway), 2600)
    before = demo_gateway.bank.executed_count()

    first = finish_checkout(rt, key)

    assert (first.outcome, first.reason) == (Outcome.DECLINED, "retry_limit")
    assert demo_gateway.bank.executed_count() == before
    assert find_checkout(rt.session, key).state == "open"
    rt.session.rollback()
    choose(demo_gateway, order(rt, key))
    assert finish_checkout(rt, key).outcome is Outcome.DONE


def _fingerprint_of_the_next_card(rt, gateway):
    setup = rt.session.scalars(sa.select(GatewaySetup)).one()
    answer = gateway.finish_setup(setup.public_id, {})
    rt.session.rollback()
    return answer.method.fingerprint
