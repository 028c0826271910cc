"""Merging and erasing as staff and customers meet them, as plain forms."""

from __future__ import annotations

import json
import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import (
    Box,
    Checkout,
    Customer,
    ErasureRequest,
    LateChange,
    Plan,
    Subscription,
    WaitingPlace,
)
from storefront.operations.secrets import one_time
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.erasure import finish_erasures
from storefront.testing import factories as make
from tests.support.admin import Desk, desk
from tests.support.paying import waiting_mails
from tests.support.visitor import PASSWORD, Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def ada(rt: Runtime) -> Customer:
    """Somebody with a password, and a subscription that runs."""
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    make.make_subscription(rt, plan=make.make_plan(rt), customer=customer)
    return customer


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt)


def end(rt: Runtime, ada: Customer) -> None:
    """Let her leave with the end of what she paid for."""
    ref = rt.session.scalar(
        sa.select(Subscription.public_id).where(Subscription.customer_id == ada.id)
    )
    rt.session.rollback()
    cancel(rt, ada.id, str(ref))


def state(rt: Runtime) -> str | None:
    found: str | None = rt.session.scalar(sa.select(ErasureRequest.state))
    rt.session.rollback()
    return found


def test_staff_see_both_accounts_before_they_merge_them(
    rt: Runtime, ada: Customer, owner: Desk
) -> None:
    kept = make.make_customer(rt, email="countess@example.org", name="Ada King")
    path = f"/admin/subscribers/{kept.public_id}"
    assert "Merge with another account" in owner.get(path).text
    none = owner.post(f"{path}/merge", {"email": "x@y.org"})
    assert "There is no account with this e-mail." in none.text
    same = owner.post(f"{path}/merge", {"email": kept.email})
    assert "This is the same account." in owner.get(same.location).text
    found = owner.post(f"{path}/merge", {"email": ADA.upper()})
    # No address of a page names anybody.
    assert found.location.endswith(f"/merge?other={ada.public_id}")
    shown = owner.get(found.location).text
    assert "Comes here and is closed" in shown
    assert "This cannot be taken back." in shown
    assert owner.post(f"{path}/merge", {"other": ada.public_id}).status_code == 303
    assert "Merged. Everything is here now." in owner.get(path).text
    # The closed one says where to look, and nothing can be done with it any more.
    closed = owner.get(f"/admin/subscribers/{ada.public_id}").text
    assert "This account was merged into another." in closed
    assert "Erase this person" not in closed
    assert owner.get(f"/admin/subscribers/{ada.public_id}/erase").status_code == 404
    assert "Accounts merged" in owner.get("/admin/log").text


def test_who_may_not_merge_or_erase_sees_neither(app: Flask, rt: Runtime, ada: Customer) -> None:
    support = desk(app, rt, "support")
    path = f"/admin/subscribers/{ada.public_id}"
    assert "Erase this person" not in support.get(path).text
    for page in ("merge", "erase"):
        assert support.get(f"{path}/{page}").status_code == 403


def test_staff_erase_somebody_as_soon_as_nothing_is_under_way(
    rt: Runtime, ada: Customer, owner: Desk
) -> None:
    path = f"/admin/subscribers/{ada.public_id}"
    assert "A subscription runs. Cancel it first" in owner.get(f"{path}/erase").text
    assert owner.post(f"{path}/erase", {"sure": "yes"}).status_code == 422
    end(rt, ada)
    shown = owner.get(f"{path}/erase").text
    assert re.search(r"1 invoice, until [^:<]*2037: tax law asks for it", shown)
    assert "the end of the paid time" in shown
    assert owner.post(f"{path}/erase").status_code == 422
    assert owner.post(f"{path}/erase", {"sure": "yes"}).status_code == 303
    assert state(rt) == "waiting"
    assert "Asked for on" in owner.get(f"{path}/erase").text
    assert owner.post(f"{path}/erase/withdraw").status_code == 303
    assert state(rt) == "withdrawn"


def test_a_customer_takes_their_data_and_has_the_account_deleted(
    app: Flask, rt: Runtime, ada: Customer
) -> None:
    visitor = Visitor.of(app).sign_in(ADA)
    data = json.loads(visitor.get("/account/privacy/data").data)
    assert data["you"][0]["email"] == ADA
    assert data["invoices"][0]["total_minor"] == 2600
    assert data["subscriptions"][0]["plan"]
    said = json.dumps(data)
    assert "token" not in said
    assert "password" not in said.replace('"method": "password"', "")

    assert "Cancel it first" in visitor.get("/account/privacy/erase").text
    end(rt, ada)
    shown = visitor.get("/account/privacy/erase").text
    assert "tax law asks for it" in shown
    wrong = visitor.post("/account/privacy/erase", sure="y", present="not it")
    assert (wrong.status_code, state(rt)) == (422, None)
    assert visitor.post("/account/privacy/erase", present=PASSWORD).status_code == 422
    right = {"sure": "y", "present": PASSWORD}
    assert visitor.post("/account/privacy/erase", **right).status_code == 303
    assert state(rt) == "waiting"
    assert "You asked for it on" in visitor.get("/account/privacy/erase").text
    assert visitor.post("/account/privacy/erase/withdraw").status_code == 303
    assert state(rt) == "withdrawn"


def test_without_a_password_it_takes_the_code_of_a_mail(app: Flask, rt: Runtime) -> None:
    key = customer_with_password(rt, ADA)
    visitor = Visitor.of(app).sign_in(ADA)
    rt.session.execute(sa.update(Customer).values(password_hash=None))
    rt.session.commit()
    assert "Mail me a code" in visitor.get("/account/privacy/erase").text
    sure = {"sure": "y", "code": "123456"}
    wrong = visitor.post("/account/privacy/erase", **sure)
    assert (wrong.status_code, "That is not the code" in wrong.text) == (422, True)
    assert (state(rt), visitor.post("/account/privacy/erase", do="code").status_code) == (None, 303)
    (mail,) = waiting_mails(rt, "sign_in")
    rt.session.rollback()
    assert mail.customer_id == key
    sure["code"] = one_time(rt.settings.secret_key, mail.payload["nonce"]).code
    assert visitor.post("/account/privacy/erase", **sure).location.endswith("/sign-in")
    assert state(rt) == "done"


def test_the_file_of_one_s_data_has_what_was_asked_begun_and_waited_for(
    app: Flask, rt: Runtime, ada: Customer
) -> None:
    box, plan = (
        rt.session.scalars(sa.select(Box)).one(),
        rt.session.scalars(sa.select(Plan.id)).one(),
    )
    asked = {"asked_at": rt.now(), "asked_by": "customer", "asked_ref": ada.public_id}
    wish = LateChange(public_id="lat_1", box_id=box.id, kind="address", state="open", **asked)
    wish.address, wish.note = {"street": "Am Ufer 1"}, "I am away"
    rt.session.add(wish)
    tea = make.make_variant(rt)
    late = LateChange(public_id="lat_2", box_id=box.id, kind="contents", state="accepted", **asked)
    late.contents = {"swaps": [[tea.id, 99]], "was": [[tea.id, 1]], "then": [[tea.id, 2]]}
    late.decided_at, late.decided_ref, late.credit_minor = rt.now(), "stf_1", 2600
    rt.session.add(late)
    rt.session.add(WaitingPlace(public_id="wai_1", plan_id=plan, email=ADA, created_at=rt.now()))
    other = make.make_customer(rt)
    rt.session.add(
        WaitingPlace(public_id="wai_2", plan_id=plan, email=other.email, created_at=rt.now())
    )
    rt.session.commit()
    orders, sku = rt.session.scalars(sa.select(Checkout.public_id)).all(), tea.sku
    rt.session.rollback()
    said = Visitor.of(app).sign_in(ADA).get("/account/privacy/data").text
    data = json.loads(said)
    first, then = data["late_changes"]
    assert (first["note"], first["contents"], then["credit_minor"]) == ("I am away", {}, 2600)
    assert then["contents"] == {
        "was": [{"sku": sku, "quantity": 1}],
        "then": [{"sku": sku, "quantity": 2}],
    }
    assert [one["email"] for one in data["waiting_lists"]] == [ADA]
    assert data["orders"][0]["address"]["street"]
    assert data["payments"][0]["amount_minor"] == 2600
    assert {"choices", "swaps", "gifts_received", "credit_notes", "refunds", "disputes"} <= set(
        data
    )
    # What opens an order again is not in it.
    assert orders
    assert not any(key in said for key in orders)


def test_an_account_with_nothing_under_way_is_gone_at_once(app: Flask, rt: Runtime) -> None:
    customer_with_password(rt, ADA)
    visitor = Visitor.of(app).sign_in(ADA)
    visitor.get("/account/privacy/erase")
    right = {"sure": "y", "present": PASSWORD}
    assert visitor.post("/account/privacy/erase", **right).location.endswith("/sign-in")
    assert state(rt) == "done"
    assert visitor.get("/account/privacy").status_code in (302, 303)
    assert finish_erasures(rt)["waiting"] == 0
