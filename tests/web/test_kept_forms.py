"""A form sent after the session ended: filled in again for its owner, and for nobody else."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from storefront.kept import fill, register_kept
from storefront.models import Customer, LoginSession, StaffSession, Subscription
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import PASSWORD as STAFF_PASSWORD
from tests.support.admin import Desk, desk
from tests.support.visitor import PASSWORD, Visitor, customer_with_password

ADA, BOB = "ada@example.org", "bob@example.org"
TYPED = {"name": "Ada King", "street": 'Am "Markt" <1>', "postcode": "07745", "city": "Jena"}
NOTICE = "What you typed is still here"


@pytest.fixture
def address(rt: Runtime) -> str:
    """The page of the address of Ada's subscription."""
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    sub: Subscription = make.make_subscription(rt, plan=make.make_plan(rt), customer=customer)
    return f"/account/subscriptions/{sub.public_id}/address"


@pytest.fixture
def ada(app: Flask, address: str) -> Visitor:
    visitor = Visitor.of(app).sign_in(ADA)
    visitor.get(address)
    return visitor


def end_sessions(rt: Runtime, table: type = LoginSession) -> None:
    rt.session.execute(sa.update(table).values(revoked_at=rt.now()))
    rt.session.commit()


def send_too_late(
    rt: Runtime, ada: Visitor, address: str, *, htmx: bool = False, **typed: str
) -> str:
    """Send the form when the session is over; return where that leads."""
    end_sessions(rt)
    before = dict(ada.headers)
    ada.headers |= {"Referer": f"http://localhost{address}"}
    if htmx:
        ada.headers |= {"HX-Current-URL": f"http://localhost{address}"}
    answer = ada.post(address, htmx=htmx, **(typed or TYPED))
    ada.headers = before
    assert answer.status_code == (401 if htmx else 303)
    return answer.headers["HX-Redirect"] if htmx else answer.location


def value_of(page: str, name: str) -> str:
    found = re.search(rf'<input[^>]* name="{name}"[^>]*>', page)
    assert found is not None
    value = re.search(r' value="([^"]*)"', found[0])
    return value[1] if value else ""


def in_cookie(app: Flask, visitor: Visitor) -> dict[str, object]:
    cookie = visitor.client.get_cookie(app.config["SESSION_COOKIE_NAME"], path="/")
    assert cookie is not None
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    return dict(serializer.loads(cookie.value))


@pytest.mark.parametrize("htmx", [False, True])
def test_after_signing_in_again_the_form_is_as_it_was_typed(
    app: Flask, rt: Runtime, ada: Visitor, address: str, htmx: bool
) -> None:
    to = send_too_late(rt, ada, address, htmx=htmx)
    assert to == f"/sign-in?next={address}"
    assert "You were signed out. Sign in again: what you typed is kept." in ada.get(to).text
    old = ada.token
    entered = ada.post("/sign-in/password", email=ADA, password=PASSWORD, next=address)
    assert entered.location == address

    page = ada.get(address).text
    assert NOTICE in page
    assert value_of(page, "name") == "Ada King"
    assert value_of(page, "street") == "Am &#34;Markt&#34; &lt;1&gt;"
    assert value_of(page, "postcode") == "07745"
    assert ada.token != old, "the form has a token of the new session"
    assert value_of(page, "csrf_token") == ada.token
    again = ada.get(address).text
    assert (value_of(again, "name"), NOTICE in again) == ("Ada King", False)

    assert ada.post(address, **{**TYPED, "country": "DE"}).status_code == 303
    assert "typed" not in in_cookie(app, ada)


def test_somebody_else_at_the_same_browser_sees_nothing_of_it(
    app: Flask, rt: Runtime, ada: Visitor, address: str
) -> None:
    customer_with_password(rt, BOB)
    send_too_late(rt, ada, address)
    ada.get("/sign-in")
    ada.sign_in(BOB)
    assert "typed" not in in_cookie(app, ada)
    assert "Ada King" not in ada.get("/account/").text


def test_signing_out_forgets_it(app: Flask, rt: Runtime, ada: Visitor, address: str) -> None:
    send_too_late(rt, ada, address)
    ada.get("/sign-in")
    ada.sign_in(ADA)
    assert "typed" in in_cookie(app, ada)
    ada.post("/sign-out")
    assert "typed" not in in_cookie(app, ada)


def test_after_half_an_hour_it_is_gone(
    app: Flask, rt: Runtime, ada: Visitor, address: str, clock: FrozenClock
) -> None:
    send_too_late(rt, ada, address)
    clock.advance(minutes=31)
    ada.get("/sign-in")
    ada.sign_in(ADA)
    assert value_of(ada.get(address).text, "name") == "Ada Lovelace"


def test_what_is_too_big_secret_or_sent_to_another_form_is_not_kept(
    app: Flask, rt: Runtime, ada: Visitor, address: str
) -> None:
    send_too_late(rt, ada, address, name="x" * 2000)
    assert "typed" not in in_cookie(app, ada)
    password = {"present": PASSWORD, "new": "a new password"}
    ada.headers["Referer"] = "http://localhost/account/security"
    assert ada.post("/account/security/password", **password).status_code == 303
    assert "typed" not in in_cookie(app, ada)
    register_kept(["account.password"])  # by mistake
    try:
        ada.post("/account/security/password", password="secret", csrf_secret="x", present="p")
        kept = in_cookie(app, ada)["typed"]
        assert isinstance(kept, dict)
        assert [name for name, _value in kept["fields"]] == ["present"]
    finally:
        from storefront import kept as module

        module._FORMS.discard("account.password")


def test_a_stranger_who_was_never_signed_in_leaves_nothing(app: Flask, address: str) -> None:
    eve = Visitor.of(app)
    eve.get("/sign-in")
    eve.headers["Referer"] = f"http://localhost{address}"
    assert eve.post(address, **TYPED).status_code == 303
    assert "typed" not in in_cookie(app, eve)


@pytest.mark.parametrize("partial", [False, True])
def test_staff_find_their_form_again(app: Flask, rt: Runtime, partial: bool) -> None:
    owner: Desk = desk(app, rt)
    owner.get("/admin/settings")
    end_sessions(rt, StaffSession)
    typed = {"name": "Ten Kettles", "line": "One more & more.", "support_email": "a@ten.example"}
    headers = {"Referer": "http://localhost/admin/settings"}
    if partial:
        headers |= {"HX-Request": "true", "HX-Request-Type": "partial"}
    answer = owner.client.post(
        "/admin/settings/shop", data={"csrf_token": owner.token, **typed}, headers=headers
    )
    assert answer.status_code == (401 if partial else 303)
    owner.get("/admin/sign-in")
    entered = {"email": "owner@shop.example", "password": STAFF_PASSWORD}
    owner.post("/admin/sign-in", {**entered, "next": "/admin/settings"})
    page = owner.get("/admin/settings").text
    assert NOTICE in page
    assert value_of(page, "name") == "Ten Kettles"
    assert value_of(page, "line") == "One more &amp; more."
    # The other sections of the page are not touched.
    assert value_of(page, "seller_name") == "Nine Kettles GmbH"


PAGE = """<p>é
\u2028</p><form action="/other"><input name="a" value="1"></form>
<form method="post" action="/own?x=1"><input type="hidden" name="a" value="kept"><input name="a">
<input type="password" name="p"><input type=checkbox name="c" value="1" checked>
<input type="checkbox" name="c" value="2"/><input type="radio" name="r" value="x" required>
<select name="s"><option value="1" selected>One</option><option value="2">Two</option></select>
<textarea name="t">old</textarea><button name="a" value="9">Go</button></form>
<input name="a" value="outside">"""


def test_only_the_own_form_is_filled_and_each_kind_of_control_in_its_way() -> None:
    fields = [("a", "<&>"), ("p", "no"), ("c", "2"), ("r", "x"), ("s", "2"), ("t", "</textarea>")]
    filled = fill(PAGE, "/own", fields)
    for same in ('name="a" value="1"', 'value="kept"', 'value="outside"', '"a" value="9"', "é\n"):
        assert same in filled
    for new in (
        '<input name="a" value="&lt;&amp;&gt;">',
        '<input type="password" name="p">',
        '<input type="checkbox" name="c" value="1">',
        '<input type="checkbox" name="c" value="2" checked>',
        '<input type="radio" name="r" value="x" required checked>',
        '<option value="1">One</option><option value="2" selected>Two</option>',
        '<textarea name="t">\n&lt;/textarea&gt;</textarea>',
    ):
        assert new in filled
    assert fill(PAGE, "/nowhere", fields) == PAGE
