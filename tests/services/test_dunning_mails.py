"""What a chase tells its customer, when it tries, and what it does with a backup card."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.domain.dunning import is_within_ceilings
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import SubscriptionState
from storefront.mails import compose
from storefront.models import (
    Box,
    BoxCycle,
    ChargeAttempt,
    DunningCase,
    Invoice,
    OutboxMessage,
    PaymentMethod,
    Plan,
    Subscription,
)
from storefront.queries.invariants import broken
from storefront.services.dunning import chase_due
from storefront.services.methods import Paid, pay_now
from storefront.services.outbox import Delivery
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


def renewed(rt, clock, card="0341", backup="", **plan_values):
    """A subscriber whose renewal of 12 March was charged to ``card``, perhaps with a backup."""
    plan = factories.make_plan(rt)
    if plan_values:
        rt.session.execute(sa.update(Plan).values(**plan_values))
        rt.session.commit()
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE, card=card)
    if backup:
        add_backup(rt, backup)
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)


def add_backup(rt, card):
    owner = rt.session.scalar(sa.select(PaymentMethod.customer_id))
    bank = rt.gateways["demo"].bank
    rt.session.add(
        PaymentMethod(
            public_id="pm_backup",
            customer_id=owner,
            gateway="demo",
            account="demo",
            token=bank.token_for(card),
            brand="visa",
            last4=card,
            fingerprint=f"backup {card}",
            is_backup=True,
            created_at=rt.now(),
        )
    )
    rt.session.commit()


def only(rt, model):
    rt.session.rollback()
    rt.session.expire_all()
    return rt.session.scalars(sa.select(model)).one()


def tried(rt):
    """Return the last four digits of the card and the state of each attempt."""
    rt.session.rollback()
    rows = rt.session.execute(
        sa.select(PaymentMethod.last4, ChargeAttempt.state)
        .join(PaymentMethod, PaymentMethod.id == ChargeAttempt.payment_method_id)
        .order_by(ChargeAttempt.id)
    )
    return [(row.last4, AttemptState(row.state).value) for row in rows]


def walk(rt, clock, days):
    for _ in range(days):
        rt.session.rollback()
        clock.advance(days=1)
        chase_due(rt)
        chase_due(rt)
        run_renewals(rt)


def messages(rt, topic=None):
    rt.session.rollback()
    found = sa.select(OutboxMessage).where(OutboxMessage.kind == "mail")
    if topic:
        found = found.where(OutboxMessage.topic == topic)
    return list(rt.session.scalars(found.order_by(OutboxMessage.id)))


def text_of(rt, topic):
    """Return the newest mail of ``topic`` as it would leave now."""
    row = messages(rt, topic)[-1]
    delivery = Delivery(
        row.id, row.public_id, row.kind, row.topic, row.key, row.payload, row.customer_id,
        row.created_at,
    )  # fmt: skip
    mail = compose(rt, delivery)
    assert mail is not None
    return f"{mail.subject}\n{mail.text}"


def test_each_step_is_mailed_and_never_two_within_a_day(rt, clock):
    renewed(rt, clock)
    first = rt.today()

    walk(rt, clock, 20)

    told = [(row.topic, (rt.day_of(row.created_at) - first).days) for row in messages(rt)]
    assert told == [
        ("payment_failed", 0),
        ("payment_failed", 3),
        ("payment_failed", 8),
        ("payment_last_warning", 12),
        ("payment_given_up", 15),
    ]
    at = [row.created_at for row in messages(rt)]
    assert all(later - one >= timedelta(hours=24) for one, later in pairwise(at))


def test_the_last_warning_names_its_day_and_what_happens_then(rt, clock):
    renewed(rt, clock)
    walk(rt, clock, 12)

    said = text_of(rt, "payment_last_warning")

    assert "Please pay €26.00 by Sat 27 March" in said
    assert "After Sat 27 March your subscription ends and no more boxes come." in said
    assert "http://localhost/pay/inv_" in said
    walk(rt, clock, 2)
    assert only(rt, Subscription).state is SubscriptionState.PAST_DUE
    walk(rt, clock, 1)
    assert only(rt, Subscription).state is SubscriptionState.CANCELED


def test_a_warning_waits_a_day_after_a_mail_about_a_failed_payment(rt, clock):
    renewed(rt, clock, card="9995")
    walk(rt, clock, 11)
    clock.advance(hours=20)
    invoice = only(rt, Invoice)
    ref, payer = invoice.public_id, invoice.payer_id
    rt.session.rollback()
    assert pay_now(rt, payer, ref) is Paid.DECLINED
    clock.advance(hours=5)
    chase_due(rt)
    assert messages(rt, "payment_last_warning") == []

    clock.advance(hours=24)
    chase_due(rt)

    assert len(messages(rt, "payment_last_warning")) == 1


@pytest.mark.parametrize(
    ("action", "state", "owed", "said"),
    [
        ("cancel", SubscriptionState.CANCELED, InvoiceState.VOID, "Your subscription has ended"),
        ("pause", SubscriptionState.PAUSED, InvoiceState.VOID, "Your subscription is paused"),
        ("leave", SubscriptionState.PAST_DUE, InvoiceState.OPEN, "€26.00 stays open"),
    ],
)
def test_the_outcome_is_done_and_told(rt, clock, action, state, owed, said):
    renewed(rt, clock, last_action=action)

    walk(rt, clock, 16)

    assert only(rt, Subscription).state is state
    assert only(rt, Invoice).state is owed
    assert text_of(rt, "payment_given_up").startswith(said)


def test_an_invoice_left_open_brings_the_subscription_back_when_it_is_paid(rt, clock, demo_gateway):
    renewed(rt, clock, last_action="leave")
    walk(rt, clock, 20)
    assert only(rt, DunningCase).state == "lost"
    invoice = only(rt, Invoice)
    ref, payer = invoice.public_id, invoice.payer_id
    rt.session.rollback()

    assert pay_now(rt, payer, ref) is Paid.DONE

    assert only(rt, Subscription).state is SubscriptionState.ACTIVE
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Box)) == 1
    assert demo_gateway.bank.executed_count() == 1


def test_the_tries_are_made_at_the_plans_time_of_day_also_when_clocks_change(rt, clock):
    renewed(rt, clock, retry_minute=6 * 60 + 30, retry_days=[3, 18])
    # Berlin is one hour before UTC until 28 March, two after.
    assert only(rt, DunningCase).next_at == datetime(2027, 3, 15, 5, 30, tzinfo=UTC)
    walk(rt, clock, 4)
    assert only(rt, DunningCase).next_at == datetime(2027, 3, 30, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "fits"),
    [((3, 8, 15), True), (range(1, 14), True), (range(1, 15), False), ((61,), False), ((), True)],
)
def test_no_schedule_exceeds_what_the_card_schemes_allow(days, fits):
    assert is_within_ceilings(tuple(days)) is fits


# ---------------------------------------------------------------------------- the backup


def test_a_backup_is_tried_right_after_the_default_was_refused(rt, clock, demo_gateway):
    renewed(rt, clock, card="9995", backup="4242")
    run_renewals(rt)

    assert tried(rt) == [("9995", "declined"), ("4242", "succeeded")]
    assert only(rt, Subscription).state is SubscriptionState.ACTIVE
    assert only(rt, Invoice).state is InvoiceState.PAID
    assert messages(rt, "payment_failed") == []
    assert rt.session.scalars(sa.select(DunningCase)).all() == []
    assert demo_gateway.bank.executed_count() == 1
    said = text_of(rt, "receipt")
    assert "ending 9995 was refused" in said
    assert "ending 4242" in said
    # The default stays what the customer chose.
    rt.session.rollback()
    chosen = rt.session.scalars(sa.select(PaymentMethod.last4).where(PaymentMethod.is_default))
    assert chosen.all() == ["9995"]


def test_when_the_backup_fails_too_it_is_one_step_and_one_mail_with_both(rt, clock):
    renewed(rt, clock, card="9995", backup="0002")
    run_renewals(rt)

    assert tried(rt) == [("9995", "declined"), ("0002", "declined")]
    case = only(rt, DunningCase)
    assert (case.step, case.next_action) == (0, "retry")
    assert len(messages(rt, "payment_failed")) == 1
    said = text_of(rt, "payment_failed")
    assert "9995" in said
    assert "0002" in said

    walk(rt, clock, 3)

    assert tried(rt)[2:] == [("9995", "declined"), ("0002", "declined")]
    assert only(rt, DunningCase).step == 1


def test_a_default_refused_for_good_leaves_the_schedule_to_the_backup(rt, clock):
    renewed(rt, clock, card="0069", backup="9995")
    run_renewals(rt)
    assert tried(rt) == [("0069", "declined"), ("9995", "declined")]
    assert only(rt, DunningCase).next_action == "retry"

    walk(rt, clock, 3)

    assert tried(rt)[2:] == [("9995", "declined")]


def test_a_backup_at_its_ceiling_is_not_asked(rt, clock):
    renewed(rt, clock, card="9995")
    rt.session.rollback()
    add_backup(rt, "0002")
    invoice, row = only(rt, Invoice), only(rt, ChargeAttempt)
    again = {c.name: getattr(row, c.name) for c in ChargeAttempt.__table__.columns}
    del again["id"]
    for n in range(14):
        values = again | {"public_id": f"pay_{n}", "number": n + 2, "sent_at": rt.now()}
        rt.session.add(ChargeAttempt(**values | {"fingerprint": "backup 0002"}))
    assert invoice.due_minor == 2600
    rt.session.commit()

    walk(rt, clock, 3)

    assert tried(rt)[15:] == [("9995", "declined")]
    assert only(rt, DunningCase).step == 1


def test_who_pays_on_the_page_is_not_charged_on_a_card_they_did_not_choose(rt, clock):
    renewed(rt, clock, card="9995")
    add_backup(rt, "4242")
    invoice = only(rt, Invoice)
    ref, payer = invoice.public_id, invoice.payer_id
    rt.session.rollback()

    assert pay_now(rt, payer, ref) is Paid.DECLINED

    assert tried(rt) == [("9995", "declined"), ("9995", "declined")]


@pytest.mark.parametrize(
    ("paid_after", "ships", "charged_again"),
    [
        # Before the lock of 15 March the box goes out with the others of its cycle.
        (2, date(2027, 3, 18), date(2027, 4, 12)),
        # After it the box is April's, and April's period is skipped: one payment, one box.
        (13, date(2027, 4, 19), date(2027, 5, 12)),
    ],
)
def test_recovery_told_in_time(rt, clock, demo_gateway, paid_after, ships, charged_again):
    renewed(rt, clock, card="9995")
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Box)) == 0
    walk(rt, clock, paid_after)
    assert only(rt, Subscription).state is SubscriptionState.PAST_DUE

    good = demo_gateway.bank.token_for("4242")
    rt.session.rollback()
    rt.session.execute(sa.update(PaymentMethod).values(token=good))
    rt.session.commit()
    invoice = only(rt, Invoice)
    ref, payer = invoice.public_id, invoice.payer_id
    rt.session.rollback()
    assert pay_now(rt, payer, ref) is Paid.DONE

    assert only(rt, Subscription).state is SubscriptionState.ACTIVE
    assert only(rt, DunningCase).state == "recovered"
    box = only(rt, Box)
    assert rt.session.get_one(BoxCycle, box.cycle_id).ship_from == ships
    assert messages(rt)[-1].topic == "receipt"
    walk(rt, clock, (charged_again - rt.today()).days - 1)
    assert demo_gateway.bank.executed_count() == 1
    walk(rt, clock, 1)
    assert demo_gateway.bank.executed_count() == 2
    assert demo_gateway.bank.double_charges() == []
    assert [row.topic for row in messages(rt)].count("payment_given_up") == 0
