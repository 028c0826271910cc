"""What becomes of the messages of gateways that were taken (W-01, W-02, W-07 to W-10, R-16)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.blueprints import incoming
from storefront.database import reading
from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import ChargeAnswer
from storefront.domain.money import Money
from storefront.extensions import db
from storefront.jobs.work import GATEWAY_EVENTS, run_job
from storefront.models import (
    Box,
    ChargeAttempt,
    Checkout,
    Difference,
    GatewaySetup,
    LedgerJournal,
    OutboxMessage,
    PaymentMethod,
    Refund,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.beginning import Start
from storefront.operations.checkout import Market, read_order
from storefront.operations.results import Result
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.sending import record
from storefront.services import webhooks
from storefront.services.checkout import Agreement, change_delivery, place_order, start_checkout
from storefront.services.methods import begin_card
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.hooks import (
    URL,
    body,
    events,
    gateway_state,
    lost_renewal,
    never,
    send,
    signed,
    state_of,
)


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    incoming.flood.clear()
    incoming.desk.open()
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def renewal(rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway) -> str:
    return lost_renewal(rt, clock, demo_gateway)


def mails(rt: Runtime, topic: str) -> int:
    count = rt.session.scalar(
        sa.select(sa.func.count()).select_from(OutboxMessage).where(OutboxMessage.topic == topic)
    )
    rt.session.rollback()
    return count or 0


def test_a_message_has_the_charge_read_at_the_gateway_and_recorded(
    rt: Runtime, client: FlaskClient, renewal: str
) -> None:
    answer = send(client, rt, reference=renewal)

    assert (answer.status_code, state_of(rt, renewal)) == (200, "succeeded")
    [event] = events(rt)
    assert (event.state, event.payload, event.reference) == ("applied", {}, renewal)
    assert gateway_state(rt).last_event_at == rt.now()


def test_what_a_message_says_is_not_believed(
    rt: Runtime, client: FlaskClient, renewal: str
) -> None:
    send(client, rt, reference=renewal, type="charge.failed")
    assert state_of(rt, renewal) == "succeeded"
    send(client, rt, reference=renewal, type="charge.failed")
    assert state_of(rt, renewal) == "succeeded"


def test_w01_a_hundred_duplicates_at_once_are_applied_once(
    app: Flask, rt: Runtime, renewal: str
) -> None:
    raw = body(rt, reference=renewal)
    headers = signed(rt, raw)
    statuses: list[int] = []
    ready = threading.Barrier(10)

    def knock() -> None:
        client = app.test_client()
        ready.wait()
        mine = [client.post(URL, data=raw, headers=headers).status_code for _ in range(10)]
        statuses.extend(mine)

    threads = [threading.Thread(target=knock) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Only some may be applied inside their request; the worker does what is left.
    webhooks.apply_due(rt, never)
    assert statuses == [200] * 100
    assert [event.state for event in events(rt)] == ["applied"]
    assert state_of(rt, renewal) == "succeeded"
    booked = rt.session.scalar(
        sa.select(sa.func.count())
        .select_from(LedgerJournal)
        .where(LedgerJournal.event_ref == renewal)
    )
    rt.session.rollback()
    assert (booked, mails(rt, "receipt")) == (1, 1)


def test_w07_a_message_about_a_stranger_is_stored_and_shown_to_staff(
    rt: Runtime, client: FlaskClient
) -> None:
    for about in ("charge", "refund", "setup", "dispute"):
        assert send(client, rt, about=about, reference=f"made-elsewhere-{about}").status_code == 200
    webhooks.apply_due(rt, never)
    assert [(e.about.value, e.state) for e in events(rt)] == [
        ("charge", "orphan"),
        ("refund", "orphan"),
        ("setup", "orphan"),
        ("dispute", "orphan"),
    ]


def test_w07_a_charge_that_looks_like_ours_and_is_in_no_book_is_a_difference(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    strange = "pay_" + "x" * 26
    details = {
        "token": demo_gateway.bank.token_for("4242"),
        "amount_minor": 2600,
        "currency": "EUR",
        "on_session": False,
        "return_url": "",
        "merchant": "",
        "invoice": "",
    }
    demo_gateway.bank.charge(strange, details)
    for _time in range(2):
        send(client, rt, reference=strange)
    found = rt.session.execute(sa.select(Difference.__table__)).one()
    rt.session.rollback()
    assert (found.kind, found.reference, found.theirs_minor) == ("missing_here", strange, 2600)
    assert {event.state for event in events(rt)} == {"orphan"}


def test_w08_a_message_before_our_own_answer_is_applied_and_the_answer_changes_nothing(
    rt: Runtime, client: FlaskClient, renewal: str
) -> None:
    rt.session.execute(
        sa.update(ChargeAttempt)
        .where(ChargeAttempt.public_id == renewal)
        .values(state=AttemptState.SENT)
    )
    rt.session.commit()
    send(client, rt, reference=renewal)
    assert state_of(rt, renewal) == "succeeded"

    late = ChargeAnswer(AnswerStatus.SUCCEEDED, "demo_ch", amount=Money(1, "EUR"))
    assert record(rt, [Result(renewal, late)]).repeated == 1
    assert (state_of(rt, renewal), mails(rt, "receipt")) == ("succeeded", 1)


def test_w08_what_only_the_gateway_has_named_yet_is_waited_for(
    rt: Runtime, client: FlaskClient, clock: FrozenClock, renewal: str, demo_gateway: DemoGateway
) -> None:
    theirs = demo_gateway.bank.charge_of(renewal).gateway_reference
    send(client, rt, reference="", gateway_reference=theirs)
    assert [event.state for event in events(rt)] == ["waiting"]

    rt.session.execute(
        sa.update(ChargeAttempt)
        .where(ChargeAttempt.public_id == renewal)
        .values(gateway_reference=theirs)
    )
    rt.session.commit()
    clock.advance(minutes=1)
    assert webhooks.apply_due(rt, never).applied == 1
    assert state_of(rt, renewal) == "succeeded"


def test_w09_message_and_answer_at_the_same_time_do_everything_once(
    app: Flask, rt: Runtime, renewal: str, demo_gateway: DemoGateway
) -> None:
    amount = demo_gateway.bank.charge_of(renewal)
    answer = ChargeAnswer(
        AnswerStatus.SUCCEEDED,
        amount.gateway_reference,
        amount=Money(amount.amount_minor, amount.currency),
    )
    bodies = [body(rt, reference=renewal) for _ in range(4)]
    headers = [signed(rt, raw) for raw in bodies]
    ready = threading.Barrier(8)

    def message(place: int) -> None:
        client = app.test_client()
        ready.wait()
        client.post(URL, data=bodies[place], headers=headers[place])

    def own() -> None:
        with app.app_context():
            ready.wait()
            record(app.extensions["storefront"], [Result(renewal, answer)])
            db.session.remove()

    threads = [threading.Thread(target=message, args=(place,)) for place in range(4)]
    threads += [threading.Thread(target=own) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert state_of(rt, renewal) == "succeeded"
    assert mails(rt, "receipt") == 1
    boxes = rt.session.scalar(sa.select(sa.func.count()).select_from(Box))
    rt.session.rollback()
    assert boxes == 2


def test_w10_when_the_gateway_does_not_answer_the_worker_asks_again_and_then_a_person(
    rt: Runtime, client: FlaskClient, clock: FrozenClock, renewal: str, demo_gateway: DemoGateway
) -> None:
    demo_gateway.bank.set_fault("lookup_down")
    assert send(client, rt, reference=renewal).status_code == 200
    tries = 0
    while events(rt)[0].state == "waiting":
        clock.set(events(rt)[0].try_at)
        webhooks.apply_due(rt, never)
        tries += 1
    assert (events(rt)[0].state, events(rt)[0].error, tries) == ("failed", "no_answer", 8)

    demo_gateway.bank.set_fault("lookup_down", is_on=False)
    assert webhooks.try_again(rt, make_staff(rt), events(rt)[0].id)
    assert webhooks.apply_due(rt, never).applied == 1
    assert state_of(rt, renewal) == "succeeded"


def test_a_refund_is_recorded_when_its_message_comes(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    from storefront.domain.invoices import CreditReason
    from storefront.domain.refunds import Way
    from storefront.models import Invoice
    from storefront.services import refunding
    from storefront.services.refunds import send_refunds

    make.make_subscription(rt)
    invoice = rt.session.scalars(sa.select(Invoice.public_id)).one()
    rt.session.rollback()
    line = refunding.offer(rt, invoice).lines[0].head.id
    wish = refunding.Wish({line: 1000}, Way.CARD, CreditReason.REFUND)
    shown = refunding.quote_refund(rt, invoice, wish).quote_hash
    refunding.refund(rt, make_staff(rt), invoice, wish, shown)
    demo_gateway.bank.set_fault("lost")
    send_refunds(rt)
    demo_gateway.bank.set_fault("lost", is_on=False)
    row = rt.session.execute(sa.select(Refund.public_id, Refund.state)).one()
    rt.session.rollback()
    assert row.state == "unknown"

    send(client, rt, about="refund", reference=row.public_id)
    assert rt.session.scalars(sa.select(Refund.state)).one() == "succeeded"
    rt.session.rollback()

    demo_gateway.bank.send_back(row.public_id)
    send(client, rt, about="refund", reference=row.public_id)
    assert rt.session.scalars(sa.select(Refund.state)).one() == "declined"
    rt.session.rollback()


def open_set_up(rt: Runtime) -> tuple[str, str]:
    """A shopper at the payment page; returns the set-up and the key of its page."""
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30))
    key = start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id, {}))
    address = {
        "name": "Ada",
        "street": "Lindenweg 4",
        "postcode": "07743",
        "city": "Jena",
        "country": "DE",
    }
    change_delivery(rt, key, "ada@example.org", address)
    with reading():
        row = rt.session.execute(
            sa.select(table_of(Checkout)).where(Checkout.public_id == key)
        ).one()
        order = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
        rt.session.rollback()
    assert order.quote is not None
    agreed = Agreement(order.quote.quote_hash, "I agree.", "renewal-1", "192.0.2.1", "test")
    url = f"http://localhost/checkout/{key}/finish"
    placed = place_order(rt, key, agreed, gateway="demo", return_url=url, cancel_url=url)
    setup = rt.session.scalars(sa.select(GatewaySetup.public_id)).one()
    rt.session.rollback()
    return str(setup), placed.url.rpartition("/")[2]


def test_r16_who_paid_and_closed_the_tab_has_a_subscription(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    setup, page = open_set_up(rt)
    demo_gateway.bank.choose(page, "4242")
    for _time in range(2):
        assert send(client, rt, about="setup", reference=setup).status_code == 200
    assert run_job(rt, GATEWAY_EVENTS)
    assert [event.state for event in events(rt)] == ["applied", "applied"]
    assert rt.session.scalars(sa.select(Subscription.state)).one() == "active"
    rt.session.rollback()
    assert demo_gateway.bank.executed_count() == 1


def test_r16_who_chose_nothing_has_an_unpaid_order_and_no_charge(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    setup, _page = open_set_up(rt)
    send(client, rt, about="setup", reference=setup)
    assert run_job(rt, GATEWAY_EVENTS)
    assert rt.session.scalars(sa.select(Subscription.state)).all() in ([], ["incomplete"])
    rt.session.rollback()
    assert demo_gateway.bank.executed_count() == 0


def test_r16_a_refused_card_leaves_the_order_open_for_another(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    setup, page = open_set_up(rt)
    demo_gateway.bank.choose(page, "0002")
    send(client, rt, about="setup", reference=setup)
    assert run_job(rt, GATEWAY_EVENTS)
    assert rt.session.scalars(sa.select(Checkout.state)).one() == "open"
    rt.session.rollback()


def test_a_card_added_in_the_account_is_kept_though_its_owner_never_came_back(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    subscription = make.make_subscription(rt)
    assert subscription.customer_id is not None
    url = begin_card(rt, subscription.customer_id, "http://localhost/account/payment/card")
    demo_gateway.bank.choose(url.rpartition("/")[2], "4242")
    setup = rt.session.scalars(
        sa.select(GatewaySetup.public_id).where(GatewaySetup.checkout_id.is_(None))
    ).one()
    rt.session.rollback()
    send(client, rt, about="setup", reference=setup)
    assert run_job(rt, GATEWAY_EVENTS)
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(PaymentMethod)) == 2
    rt.session.rollback()


def test_a_card_the_network_renewed_is_shown_and_its_owner_told(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    make.make_subscription(rt)
    token = rt.session.scalars(sa.select(PaymentMethod.token)).one()
    rt.session.rollback()
    before = demo_gateway.read_method(token)
    assert before is not None
    renewed = replace(before, exp_year=2039)
    monkeypatch.setattr(demo_gateway, "read_method", lambda *_: renewed)
    for _time in range(2):
        send(client, rt, about="method", gateway_reference=token)
    assert rt.session.scalars(sa.select(PaymentMethod.exp_year)).one() == 2039
    rt.session.rollback()
    assert mails(rt, "card_renewed") == 1


def test_a_card_that_is_gone_is_tried_no_more_and_its_owner_asked_for_another(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    make.make_subscription(rt)
    token = rt.session.scalars(sa.select(PaymentMethod.token)).one()
    rt.session.rollback()
    demo_gateway.bank.detach(token)
    for _time in range(2):
        send(client, rt, about="method", gateway_reference=token)
    assert rt.session.scalars(sa.select(PaymentMethod.refused_at)).one() == rt.now()
    rt.session.rollback()
    assert mails(rt, "card_gone") == 1


def test_what_two_workers_find_is_applied_by_one(
    app: Flask, rt: Runtime, renewal: str, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    client = app.test_client()
    demo_gateway.bank.set_fault("lookup_down")
    for _message in range(20):
        send(client, rt, reference=renewal)
    demo_gateway.bank.set_fault("lookup_down", is_on=False)
    clock.advance(minutes=5)
    applied: list[int] = []
    ready = threading.Barrier(2)

    def work() -> None:
        with app.app_context():
            ready.wait()
            applied.append(webhooks.apply_due(app.extensions["storefront"], never).applied)
            db.session.remove()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(applied) == 20
    assert mails(rt, "receipt") == 1


def test_a_message_whose_worker_died_is_given_back(
    rt: Runtime, client: FlaskClient, clock: FrozenClock, renewal: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(webhooks, "apply_claimed", lambda *_: None)
    send(client, rt, reference=renewal)
    assert webhooks.apply_due(rt, never).applied == 0
    clock.advance(seconds=timedelta(minutes=2).total_seconds())
    assert webhooks.apply_due(rt, never).applied == 1
    assert state_of(rt, renewal) == "succeeded"
    subscription = rt.session.scalars(sa.select(Subscription.state)).one()
    rt.session.rollback()
    assert subscription.value == "active"
