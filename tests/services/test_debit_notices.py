"""Where a payment scheme asks for it, customers are told a day before each debit, or it waits."""

from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from storefront.charges import send_planned
from storefront.domain.charging import MAX_TRIES_PER_DAY, AttemptState
from storefront.mails import compose
from storefront.models import (
    ChargeAttempt,
    Consent,
    DunningCase,
    Invoice,
    OutboxMessage,
    PaymentMethod,
    Subscription,
    SubscriptionPeriod,
)
from storefront.operations.notices import DEBIT_NOTICE
from storefront.queries.invariants import broken
from storefront.queries.worklists import listed
from storefront.services.debits import stop_debit
from storefront.services.dunning import chase_due
from storefront.services.methods import Paid, pay_now
from storefront.services.outbox import deliver_due
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.population import populate
from tests.support.orders import only

DUE = date(2027, 3, 12)
DAY = 24 * 3600
TOLD = ("demo",)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def due(rt, clock):
    """A subscriber whose renewal is due now."""
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 1, DUE)
    clock.advance(days=(DUE - rt.today()).days)


@pytest.fixture
def scheme(demo_gateway, monkeypatch):
    """The gateway's scheme asks for a notice of a day."""
    rules = replace(demo_gateway.capabilities, minimum_notice_seconds=DAY)
    monkeypatch.setattr(demo_gateway, "capabilities", rules)


def attempt(rt):
    rt.session.rollback()
    found = rt.session.execute(
        sa.select(ChargeAttempt.__table__).order_by(ChargeAttempt.id.desc()).limit(1)
    ).one()
    rt.session.rollback()
    return found


def mail(rt):
    return deliver_due(rt, partial(compose, rt))


def notice(rt):
    table = OutboxMessage.__table__
    found = rt.session.execute(sa.select(table).where(table.c.topic == DEBIT_NOTICE)).all()
    rt.session.rollback()
    return found


def newest(rt):
    """Return subject and text of the mail that went out last."""
    sent = rt.mailer.read()[0]
    return sent["subject"], sent.get_body(("plain",)).get_content()


def why(rt):
    found = [row.detail for row in listed(rt.session, "waiting", rt.moment(), TOLD)]
    rt.session.rollback()
    return found


def test_nothing_is_debited_before_the_customer_was_told_and_a_day_and_an_hour_have_passed(
    rt, clock, due, scheme
):
    """G-25 and K-18."""
    run_renewals(rt)
    assert attempt(rt).state == AttemptState.PLANNED
    assert len(notice(rt)) == 1
    clock.advance(hours=2)
    send_planned(rt)
    assert why(rt) == ["notice_missing"]
    assert len(notice(rt)) == 1

    mail(rt)

    told = attempt(rt)
    assert told.notified_at == rt.now()
    assert told.not_before == rt.now() + timedelta(hours=25)
    clock.advance(hours=24, minutes=59)
    assert send_planned(rt).settled == 0
    assert why(rt) == ["too_early"]
    clock.advance(minutes=1)
    assert send_planned(rt).settled == 1


def test_the_gateway_hears_when_the_customer_was_told(rt, clock, due, scheme, demo_gateway):
    asked = []
    real = demo_gateway.charge
    demo_gateway.charge = lambda order: asked.append(order) or real(order)
    run_renewals(rt)
    mail(rt)
    told_at = rt.now()
    clock.advance(hours=25)

    send_planned(rt)

    assert [order.notified_at for order in asked] == [told_at]


def test_the_notice_names_amount_and_day_and_how_to_stop_it(rt, due, scheme):
    run_renewals(rt)

    mail(rt)

    [subject, text] = newest(rt)
    amount = f"{attempt(rt).amount_minor / 100:.2f}"
    assert amount in subject
    assert amount in text
    assert "13 March" in subject
    assert "/account/payment" in text
    assert "Stop this one debit" in text


@pytest.mark.parametrize(("locale", "says"), [("de", "buchen"), ("fr", "prélev")])
def test_the_notice_speaks_the_customer_s_language(rt, due, scheme, locale, says):
    rt.session.execute(sa.text("UPDATE customer SET locale = :locale"), {"locale": locale})
    rt.session.commit()
    run_renewals(rt)

    mail(rt)

    assert says in newest(rt)[0]


def test_a_gateway_without_such_a_rule_debits_at_once_and_writes_no_notice(rt, due):
    assert run_renewals(rt).charges.settled == 1
    assert notice(rt) == []


def end_of_period(rt):
    found = rt.session.scalars(
        sa.select(SubscriptionPeriod.end_on).order_by(SubscriptionPeriod.number.desc())
    ).first()
    rt.session.rollback()
    return found


def go_to(rt, clock, day):
    clock.advance(days=(day - rt.today()).days)


def test_a_debit_that_would_fall_into_the_last_day_and_a_half_waits_for_the_next_period(
    rt, clock, due, scheme
):
    run_renewals(rt)
    end = end_of_period(rt)
    go_to(rt, clock, end - timedelta(days=2))

    mail(rt)

    assert attempt(rt).not_before == rt.moment().start_of(end)


def test_a_debit_that_is_late_is_not_sent_in_the_last_day_and_a_half_either(rt, clock, due, scheme):
    """Told in time, then nothing ran: the guard looks at the end of the period once more."""
    run_renewals(rt)
    mail(rt)
    end = end_of_period(rt)
    go_to(rt, clock, end - timedelta(days=2))
    clock.advance(hours=4)
    assert send_planned(rt).settled == 0
    go_to(rt, clock, end - timedelta(days=1))
    assert send_planned(rt).settled == 0
    assert why(rt) == ["notice_missing"]

    go_to(rt, clock, end)

    assert send_planned(rt).settled == 1


def test_a_stopped_debit_is_never_sent_and_its_customer_may_pay_it_themselves(
    rt, clock, due, scheme
):
    run_renewals(rt)
    mail(rt)
    customer_id = only(rt, Invoice).payer_id

    assert stop_debit(rt, customer_id, attempt(rt).public_id)
    assert not stop_debit(rt, customer_id, attempt(rt).public_id)

    case = only(rt, DunningCase)
    assert (case.next_action, attempt(rt).reason) == ("last_action", "opted_out")
    for _day in range(5):
        clock.advance(days=1)
        chase_due(rt)
        run_renewals(rt)
    assert attempt(rt).number == 1
    assert pay_now(rt, customer_id, only(rt, Invoice).public_id) is Paid.DONE
    assert only(rt, Subscription).state == "active"


def test_nobody_stops_another_s_debit(rt, due, scheme):
    run_renewals(rt)
    stranger = make.make_customer(rt)

    with pytest.raises(LookupError):
        stop_debit(rt, stranger.id, attempt(rt).public_id)

    assert attempt(rt).state == AttemptState.PLANNED


def limited(rt, minor, currency="EUR"):
    rt.session.execute(sa.update(PaymentMethod).values(limit_minor=minor, limit_currency=currency))
    rt.session.commit()


def test_more_than_was_agreed_is_not_tried_but_asked_for(rt, clock, due, demo_gateway):
    """G-26: with the customer there, the same card may take more."""
    limited(rt, 100)

    run_renewals(rt)

    assert (attempt(rt).state, attempt(rt).reason) == (AttemptState.ABANDONED, "over_limit")
    assert demo_gateway.bank.executed_count() == 0
    assert only(rt, DunningCase).next_action == "last_action"
    assert only(rt, PaymentMethod).refused_at is None
    mail(rt)
    assert "more than you agreed" in newest(rt)[1]
    invoice = only(rt, Invoice)
    assert pay_now(rt, invoice.payer_id, invoice.public_id) is Paid.DONE


@pytest.mark.parametrize(("minor", "currency", "settled"), [(None, "", 1), (1, "USD", 0)])
def test_a_limit_counts_in_its_own_currency(rt, due, minor, currency, settled):
    limited(rt, minor, currency)

    assert run_renewals(rt).charges.settled == settled


def test_a_charge_of_just_what_was_agreed_is_tried(rt, due, clock):
    limited(rt, make.price_of(rt, make.make_plan(rt, code="other")).amount_minor * 10)

    assert run_renewals(rt).charges.settled == 1


def blocked(rt, what):
    """Let one thing keep the planned charge from being sent."""
    say = {
        "held": "UPDATE subscription SET held_at = :now, hold_reason = 'staff'",
        "not_billable": "UPDATE subscription SET state = 'paused', renews_at = NULL",
        "no_method": "UPDATE payment_method SET refused_at = :now",
        "over_limit": "UPDATE payment_method SET limit_minor = 1, limit_currency = 'EUR'",
        "gateway_stopped": "INSERT INTO gateway_state (gateway, account, refused, refused_reason,"
        " stopped_at, stopped_reason) SELECT gateway, account, 0, '', :now, 'unauthorized'"
        " FROM charge_attempt WHERE state = 'planned'",
        "gateway_slow": "INSERT INTO gateway_state (gateway, account, refused, refused_reason,"
        " slow_until, stopped_reason) SELECT gateway, account, 0, '', :later, ''"
        " FROM charge_attempt WHERE state = 'planned'",
        "too_early": "UPDATE charge_attempt SET not_before = :later WHERE state = 'planned'",
    }[what]
    later = rt.now() + timedelta(days=3)
    rt.session.execute(
        sa.text(say).bindparams(
            *[
                sa.bindparam(name, value, type_=ChargeAttempt.__table__.c.not_before.type)
                for name, value in (("now", rt.now()), ("later", later))
                if f":{name}" in say
            ]
        )
    )
    rt.session.commit()


@pytest.mark.parametrize(
    "what",
    [
        "held",
        "not_billable",
        "no_method",
        "over_limit",
        "gateway_stopped",
        "gateway_slow",
        "too_early",
    ],
)
def test_each_refusal_of_the_guard_says_why(rt, clock, due, scheme, what):
    run_renewals(rt)
    rt.session.execute(sa.update(ChargeAttempt).values(notified_at=rt.now()))
    rt.session.commit()
    blocked(rt, what)
    clock.advance(hours=2)

    assert why(rt) == [what]

    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Consent)) == 1
    rt.session.rollback()


def test_a_card_at_its_ceiling_says_so(rt, clock, due, scheme):
    run_renewals(rt)
    waits = attempt(rt)
    columns = ("invoice_id", "gateway", "account", "payment_method_id", "fingerprint")
    same = {name: getattr(waits, name) for name in (*columns, "amount_minor", "currency")}
    rt.session.execute(
        sa.insert(ChargeAttempt),
        [
            {
                **same,
                "public_id": f"pay_before_{number}",
                "number": number,
                "state": AttemptState.DECLINED,
                "decline_kind": "soft",
                "created_at": rt.now(),
                "sent_at": rt.now(),
            }
            for number in range(2, 2 + MAX_TRIES_PER_DAY)
        ],
    )
    rt.session.execute(sa.update(ChargeAttempt).values(notified_at=rt.now()))
    rt.session.commit()
    clock.advance(hours=2)

    assert why(rt) == ["retry_limit"]
    assert send_planned(rt).settled == 0


def test_a_retry_is_announced_as_the_first_try_was(rt, clock, scheme):
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 1, DUE, card="0341")
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)
    mail(rt)
    clock.advance(hours=25)
    assert send_planned(rt).declined == 1

    clock.advance(days=3)
    chase_due(rt)

    assert (attempt(rt).number, attempt(rt).state) == (2, AttemptState.PLANNED)
    assert len(notice(rt)) == 2
    mail(rt)
    clock.advance(hours=25)
    assert send_planned(rt).declined == 1
