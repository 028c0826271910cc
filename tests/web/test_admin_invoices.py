"""Open invoices, transfers, extra charges and refused refunds on the admin's pages."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.charging import AttemptState
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.refunds import Way
from storefront.models import (
    ChargeAttempt,
    Customer,
    CustomerCredit,
    Invoice,
    ParkedWork,
    Plan,
    Refund,
    ShopSettings,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import Desk, desk


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def sub(rt: Runtime, demo_gateway) -> Subscription:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30))
    found = make.make_subscription(rt, plan=plan)
    rt.session.execute(sa.update(ShopSettings).values(bank_details="IBAN DE02 1203"))
    rt.session.commit()
    rt.forget_shop()
    return found


def one(rt: Runtime, statement: Any) -> Any:
    found = rt.session.scalars(statement).all()
    rt.session.rollback()
    rt.session.expire_all()
    return found[-1] if found else None


@pytest.fixture
def owed(rt: Runtime, app: Flask, clock: FrozenClock, sub: Subscription) -> str:
    """An overdue renewal of somebody who was let pay by transfer on their page."""
    customer = one(rt, sa.select(Customer.public_id))
    owner = desk(app, rt)
    page = owner.get(f"/admin/subscribers/{customer}").text
    assert "Let them pay by transfer" in page
    answer = owner.post(f"/admin/subscribers/{customer}/pays-by", {"pays_by": "bank", "days": "10"})
    assert answer.status_code == 303
    assert "By transfer, within 10 days." in owner.get(f"/admin/subscribers/{customer}").text
    while (found := one(rt, sa.select(Invoice.public_id).where(Invoice.state == "open"))) is None:
        clock.advance(days=1)
        run_renewals(rt)
    clock.advance(days=11)
    return str(found)


@pytest.fixture
def owner(app: Flask, owed: str) -> Desk:
    browser = Desk(app.test_client())
    browser.get("/admin/sign-in")
    signed = {"email": "owner@shop.example", "password": "a long password"}
    assert browser.post("/admin/sign-in", signed).status_code == 303
    browser.get("/admin/")
    return browser


def test_an_overdue_transfer_is_on_the_first_page_and_marked_paid(
    owner: Desk, rt: Runtime, owed: str
) -> None:
    assert "1 transfer is overdue" in owner.get("/admin/").text
    assert "€26.00" in owner.get("/admin/today/overdue").text
    url = f"/admin/documents/{owed}"
    assert f'href="{url}/open"' in owner.get(url).text
    assert "Mark as paid" in owner.get(f"{url}/open").text

    wrong = owner.post(f"{url}/paid", {"amount": "20"})
    assert (wrong.status_code, "exactly €26.00" in wrong.text) == (422, True)
    wrong = owner.post(f"{url}/paid", {"amount": "20.01", "note": "by Ada"})
    assert 'value="20.01"' in wrong.text
    assert 'value="by Ada"' in wrong.text
    assert owner.post(f"{url}/paid", {"amount": "26,00"}).status_code == 303

    found = one(rt, sa.select(Invoice).where(Invoice.public_id == owed))
    assert found.state == InvoiceState.PAID
    rt.session.rollback()
    assert "overdue" not in owner.get("/admin/").text
    assert owner.post(f"{url}/paid", {"amount": "26"}).status_code == 303


def test_an_open_invoice_is_written_off(owner: Desk, rt: Runtime, owed: str) -> None:
    url = f"/admin/documents/{owed}"
    asked = owner.post(f"{url}/drop", {"how": "write_off", "then": "burn", "note": "lost"})
    assert asked.status_code == 422
    assert 'id="how-write-off" checked' in asked.text
    assert 'value="lost"' in asked.text
    assert owner.post(f"{url}/drop", {"how": "write_off", "then": "stop"}).status_code == 303

    found = one(rt, sa.select(Invoice).where(Invoice.public_id == owed))
    assert found.state == InvoiceState.UNCOLLECTIBLE
    assert one(rt, sa.select(Subscription)).state == "canceled"


def test_something_extra_is_charged_as_previewed_and_once(
    app: Flask, rt: Runtime, sub: Subscription
) -> None:
    owner = desk(app, rt)
    customer = one(rt, sa.select(Customer.public_id))
    url = f"/admin/subscribers/{customer}/{sub.public_id}/extra"
    assert f'href="{url}"' in owner.get(f"/admin/subscribers/{customer}").text
    form = owner.get(url).text
    once = re.search(r'name="once" value="([^"]+)"', form)
    assert once is not None
    wish = {"text": "Teapot", "amount": "9.90", "tax_class": "standard", "once": once[1]}
    assert owner.post(url, wish | {"amount": "0"}).status_code == 422
    assert owner.post(url, wish | {"text": ""}).status_code == 422
    preview = owner.post(url, wish)
    assert "Charge €9.90" in preview.text
    assert one(rt, sa.select(sa.func.count()).select_from(Invoice)) == 1
    shown = re.search(r'name="shown" value="([^"]+)"', preview.text)
    assert shown is not None

    first = owner.post(url, wish | {"shown": shown[1]})
    second = owner.post(url, wish | {"shown": shown[1]})

    assert (first.status_code, second.location) == (303, first.location)
    assert one(rt, sa.select(sa.func.count()).select_from(ChargeAttempt)) == 2
    assert "Teapot" in owner.get(first.location).text


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"amount": "1000.01"}, "Enter €1,000.00 at most"),
        ({"tax_class": "luxury"}, "Choose one of the taxes in the list"),
        ({"text": ""}, "Enter what it is for"),
    ],
)
def test_what_is_wrong_with_an_extra_is_said(
    app: Flask, rt: Runtime, sub: Subscription, typed: dict[str, str], problem: str
) -> None:
    owner = desk(app, rt)
    url = f"/admin/subscribers/{one(rt, sa.select(Customer.public_id))}/{sub.public_id}/extra"
    wish = {"text": "Teapot", "amount": "9.90", "tax_class": "standard"}
    answer = owner.post(url, wish | typed)
    assert answer.status_code == 422
    assert problem in answer.text


def test_an_extra_is_in_the_currency_of_its_subscription(
    app: Flask, rt: Runtime, sub: Subscription
) -> None:
    price = make.make_price(rt, one(rt, sa.select(Plan)), currency="JPY", amount_minor=2900)
    rt.session.execute(sa.update(Subscription).values(price_id=price.id))
    rt.session.commit()
    owner = desk(app, rt)
    url = f"/admin/subscribers/{one(rt, sa.select(Customer.public_id))}/{sub.public_id}/extra"
    assert "Amount in JPY" in owner.get(url).text
    wish = {"text": "Teapot", "amount": "900", "tax_class": "standard"}
    assert "Charge ¥900" in owner.post(url, wish).text.replace("JP¥", "¥")


@pytest.fixture
def refused(rt: Runtime, app: Flask, sub: Subscription, monkeypatch: Any) -> Desk:
    """A refund the gateway refused, and somebody of the staff signed in."""
    from storefront.domain.charging import AnswerStatus
    from storefront.domain.gateways import RefundAnswer

    owner = desk(app, rt)
    key = one(rt, sa.text("SELECT id FROM staff"))
    invoice = one(rt, sa.select(Invoice.public_id))
    line = offer(rt, invoice).lines[0].head.id
    wish = Wish({line: 700}, Way.CARD, CreditReason.REFUND)
    who = Who(key, "stf_x", "192.0.2.1")
    refund(rt, who, invoice, wish, quote_refund(rt, invoice, wish).quote_hash)
    gateway = make.demo_gateway_of(rt)
    with monkeypatch.context() as patch:
        no = RefundAnswer(AnswerStatus.DECLINED, reason="account_closed")
        patch.setattr(type(gateway), "refund", lambda _self, _order: no)
        assert send_refunds(rt).refused == 1
    return owner


def test_a_refused_refund_is_sent_again_under_a_new_key(refused: Desk, rt: Runtime) -> None:
    old = one(rt, sa.select(Refund.public_id))
    assert "The bank did not take this refund" in refused.get("/admin/jobs").text

    assert refused.post(f"/admin/refunds/{old}/send-again").status_code == 303

    assert one(rt, sa.select(Refund.public_id)) != old
    assert send_refunds(rt).done == 1
    assert one(rt, sa.select(Refund)).state == AttemptState.SUCCEEDED
    assert one(rt, sa.select(ParkedWork)).resolved_at is not None
    refused.post(f"/admin/refunds/{old}/send-again")
    assert one(rt, sa.select(sa.func.count()).select_from(Refund)) == 1


def test_a_refused_refund_becomes_credit(refused: Desk, rt: Runtime) -> None:
    old = one(rt, sa.select(Refund.public_id))
    for _ in range(2):
        assert refused.post(f"/admin/refunds/{old}/to-credit").status_code == 303

    assert one(rt, sa.select(CustomerCredit)).balance_minor == 700
    assert one(rt, sa.select(Refund)).state == AttemptState.ABANDONED
    assert send_refunds(rt).done == 0


def test_the_account_says_where_to_transfer_to_and_until_when(
    owner: Desk, app: Flask, rt: Runtime, owed: str
) -> None:
    from storefront.queries.invoices import owed as read_owed

    payer = one(rt, sa.select(Invoice.payer_id).where(Invoice.public_id == owed))
    found = read_owed(rt.session, payer, rt.moment())
    rt.session.rollback()
    assert found is not None
    assert (found.by_bank, found.amount.minor) == (True, 2600)
    assert "IBAN DE02 1203" in owner.get(f"/admin/documents/{owed}").text
