"""Disputes and messages of gateways as staff and customers see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.blueprints import incoming
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import (
    Box,
    ChargeAttempt,
    Consent,
    Customer,
    Dispute,
    GatewayState,
    Invoice,
    Shipment,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.consents import Given, write_consent
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import webhooks
from storefront.services.outbox import deliver_due
from storefront.settings import Settings
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import Desk, desk
from tests.support.hooks import body, never, send, signed
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture(params=["sqlite"])
def database(databases: Any, tmp_path: Any) -> Any:
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    incoming.flood.clear()
    incoming.desk.open()
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def subscription(rt: Runtime) -> Subscription:
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30))
    return make.make_subscription(rt, plan=plan, customer=customer)


@pytest.fixture
def disputed(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, subscription: Subscription
) -> str:
    """The dispute of its first payment."""
    payment = rt.session.scalars(sa.select(ChargeAttempt.public_id)).one()
    rt.session.rollback()
    demo_gateway.bank.dispute(payment)
    send(client, rt, about="dispute", reference=payment)
    return ours(rt)


def ours(rt: Runtime) -> str:
    found = rt.session.scalars(sa.select(Dispute.public_id)).one()
    rt.session.rollback()
    return found


def won(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, *, is_won: bool = True
) -> None:
    row = rt.session.execute(
        sa.select(ChargeAttempt.public_id, Dispute.gateway_reference).join(
            Dispute, Dispute.attempt_id == ChargeAttempt.id
        )
    ).one()
    rt.session.rollback()
    demo_gateway.bank.decide_dispute(row.gateway_reference, is_won)
    send(client, rt, about="dispute", reference=row.public_id)


def held(rt: Runtime) -> bool:
    found = rt.session.scalars(sa.select(Subscription.held_at)).one()
    rt.session.rollback()
    return found is not None


def test_staff_see_a_dispute_on_the_first_page_and_decide_on_its_own(
    app: Flask, rt: Runtime, disputed: str
) -> None:
    owner: Desk = desk(app, rt)
    assert "1 dispute" in owner.get("/admin/").text
    assert "Ada Lovelace" in owner.get("/admin/disputes").text
    page = owner.get(f"/admin/disputes/{disputed}").text
    assert "says they did not buy it" in page
    assert "1 box is kept back." in page
    assert "€26.00" in page
    answer = owner.post(f"/admin/disputes/{disputed}/resume", {})
    assert (answer.status_code, held(rt)) == (303, False)
    assert owner.post(f"/admin/disputes/{disputed}/resume", {}).status_code == 303


def test_the_disputed_invoice_says_so_and_offers_no_refund(
    app: Flask, rt: Runtime, disputed: str
) -> None:
    invoice = rt.session.scalars(sa.select(Invoice.public_id)).one()
    rt.session.rollback()
    owner: Desk = desk(app, rt)
    page = owner.get(f"/admin/documents/{invoice}").text
    assert "The payment of this invoice is disputed." in page
    assert f"/admin/disputes/{disputed}" in page
    assert "Nothing of it can go back now." in owner.get(f"/admin/documents/{invoice}/refund").text


def test_staff_end_a_lost_one(
    app: Flask, rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, disputed: str
) -> None:
    won(rt, client, demo_gateway, is_won=False)
    owner: Desk = desk(app, rt)
    assert "The money is lost" in owner.get(f"/admin/disputes/{disputed}").text
    assert owner.post(f"/admin/disputes/{disputed}/end", {}).status_code == 303
    state = rt.session.scalars(sa.select(Subscription.state)).one()
    rt.session.rollback()
    assert state == "canceled"


def test_the_evidence_is_what_was_kept_in_one_file(
    app: Flask, rt: Runtime, disputed: str, clock: FrozenClock
) -> None:
    box = table_of(Box)
    deliver_due(rt, lambda _delivery: None)
    [parcel] = rt.session.execute(
        sa.insert(table_of(Shipment))
        .values(public_id="shp_1", carrier="DHL", tracking_number="JJD01", shipped_at=rt.now())
        .returning(table_of(Shipment).c.id)
    ).scalars()
    rt.session.execute(
        sa.update(box).values(
            shipment_id=parcel,
            ship_to={"name": "Ada Lovelace", "street": "Am Markt 1", "city": "Jena"},
        )
    )
    whose = rt.session.execute(sa.select(Consent.customer_id, Consent.subscription_id)).one()
    given = Given("Agreed", "1", "192.0.2.1", "UA", "Order with obligation", "Due today €26.00")
    amount = Money(2600, "EUR")
    write_consent(
        rt.session, (whose[0], whose[1]), given, amount, Interval("month", 1), rt.moment()
    )
    rt.session.commit()
    owner: Desk = desk(app, rt)
    page = owner.get(f"/admin/disputes/{disputed}").text
    assert f"/admin/disputes/{disputed}/evidence.txt" in page
    answer = owner.get(f"/admin/disputes/{disputed}/evidence.txt")
    assert answer.mimetype == "text/plain"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    consent = rt.session.scalars(sa.select(Consent).order_by(Consent.id).limit(1)).one()
    said, known_as = consent.text, consent.text_hash
    rendering = ("Button: Order with obligation", "Due today €26.00", given.page_hash)
    rt.session.rollback()
    for fact in (said, known_as, ADA, "€26.00", "DHL JJD01", "Am Markt 1", "Jena", *rendering):
        assert fact in answer.text
    assert "2027-03-02 09:00 UTC  Order confirmed" in answer.text
    assert "The customer was there." in answer.text


def test_evidence_of_what_never_left_says_so(app: Flask, rt: Runtime, disputed: str) -> None:
    owner: Desk = desk(app, rt)
    text = owner.get(f"/admin/disputes/{disputed}/evidence.txt").text
    assert "Nothing was sent yet." in text
    assert "No mail was sent yet." in text
    assert owner.get("/admin/disputes/dsp_none/evidence.txt").status_code == 404


def test_a_dispute_there_is_not_is_not_found(app: Flask, rt: Runtime) -> None:
    owner: Desk = desk(app, rt)
    assert owner.get("/admin/disputes/dsp_none").status_code == 404
    assert owner.post("/admin/disputes/dsp_none/resume", {}).status_code == 404
    assert owner.post("/admin/disputes/dsp_none/end", {}).status_code == 404
    assert "No payment is disputed." in owner.get("/admin/disputes").text


def test_a_customer_is_told_plainly_why_nothing_comes_and_goes_on_when_it_was_won(
    app: Flask,
    rt: Runtime,
    client: FlaskClient,
    demo_gateway: DemoGateway,
    subscription: Subscription,
    disputed: str,
) -> None:
    me = Visitor.of(app).sign_in(ADA)
    page = me.get(f"/account/subscriptions/{subscription.public_id}").text
    assert "On hold: your bank took our payment of €26.00 back" in page
    assert "nothing is charged and no box is sent" in me.get(f"/account/disputes/{disputed}").text
    me.post(f"/account/disputes/{disputed}")
    assert held(rt)

    won(rt, client, demo_gateway)
    assert "rests until you say" in me.get(f"/account/subscriptions/{subscription.public_id}").text
    home = me.get("/account/").text
    assert f'href="/account/disputes/{disputed}"' in home
    assert "rests until you say that it goes on" in home
    answer = me.post(f"/account/disputes/{disputed}")
    assert (answer.status_code, held(rt)) == (303, False)
    again = me.post(f"/account/disputes/{disputed}")
    assert again.status_code == 303


def test_another_customer_sees_no_foreign_dispute(app: Flask, rt: Runtime, disputed: str) -> None:
    customer_with_password(rt, "bob@example.org")
    other = Visitor.of(app).sign_in("bob@example.org")
    assert other.get(f"/account/disputes/{disputed}").status_code == 404
    assert other.post(f"/account/disputes/{disputed}").status_code == 404


def test_the_page_of_gateways_shows_what_waits_and_tries_it_again(
    app: Flask, rt: Runtime, client: FlaskClient
) -> None:
    send(client, rt, reference="made-elsewhere")
    client.post("/hooks/demo", data=b"{}", headers={"Content-Type": "application/json"})
    owner: Desk = desk(app, rt)
    assert "1 message of a payment gateway" in owner.get("/admin/").text
    page = owner.get("/admin/gateways").text
    for words in (
        "http://localhost/hooks/demo",
        "no payment of ours is meant",
        "without a signature",
    ):
        assert words in page
    key = page.partition("/gateways/messages/")[2].partition("/")[0]
    assert owner.post(f"/admin/gateways/messages/{key}/again", {}).status_code == 303
    assert webhooks.apply_due(rt, never).orphans == 1


def test_w12_a_door_nobody_knocks_at_is_seen_while_payments_go_on(
    app: Flask, rt: Runtime, client: FlaskClient, clock: FrozenClock, subscription: Subscription
) -> None:
    rt.session.execute(
        sa.insert(GatewayState).values(
            gateway="demo", account="demo", last_event_at=rt.now() - timedelta(hours=13)
        )
    )
    rt.session.commit()
    ready = client.get("/readyz").json
    assert ready is not None
    assert ready["gateways"]["demo"]["silent"] is True
    assert "no message came since" in desk(app, rt).get("/admin/gateways").text
    send(client, rt, about="other")
    ready = client.get("/readyz").json
    assert ready is not None
    assert ready["gateways"]["demo"]["silent"] is False


class TestBelowAPath:
    @pytest.fixture
    def settings(self, database: Any, tmp_path: Any) -> Settings:
        return Settings(
            environment="test",
            secret_key="a secret of the tests, long enough for all",
            database_url=database.url,
            data_dir=tmp_path / "instance",
            base_url="http://localhost",
            url_prefix="/tea",
        )

    def test_messages_come_below_the_prefix_too(self, rt: Runtime, client: FlaskClient) -> None:
        raw = body(rt, about="other")
        # The client itself puts the prefix in front.
        sent = client.post("/hooks/demo", data=raw, headers=signed(rt, raw))
        assert (sent.status_code, sent.request.path) == (200, "/hooks/demo")
        assert sent.request.script_root == "/tea"

    def test_the_address_for_the_gateway_has_the_prefix(self, app: Flask, rt: Runtime) -> None:
        page = desk(app, rt).get("/admin/gateways").text
        assert "http://localhost/tea/hooks/demo" in page
