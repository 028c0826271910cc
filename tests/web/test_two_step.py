"""Two-step sign-in in a browser: set up, asked for, lost, switched off, required of staff."""

import re
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.adapters import totp
from storefront.models import Customer, OutboxMessage, Staff
from storefront.operations.secrets import OneTime, one_time
from storefront.runtime import Runtime
from storefront.testing.clock import FrozenClock
from tests.support.admin import PASSWORD as STAFF_PASSWORD
from tests.support.admin import Desk, desk
from tests.support.visitor import PASSWORD, Visitor, customer_with_password

ADA = "ada@example.org"
PAGE, SECOND = "/account/security/two-step", "/sign-in/second"
CODES = r"<code>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</code>"


@pytest.fixture
def ada(rt: Runtime) -> int:
    return customer_with_password(rt, ADA)


@pytest.fixture
def visitor(app: Flask, ada: int) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def path_of(location: str) -> str:
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def key_on(page: str) -> str:
    found = re.search(r"<code>((?:[A-Z2-7]{4} ?){8})</code>", page)
    assert found, page
    return found[1].replace(" ", "")


def mailed(rt: Runtime) -> OneTime:
    payload = rt.session.scalars(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == "sign_in")
        .order_by(OutboxMessage.id.desc())
        .limit(1)
    ).one()
    rt.session.rollback()
    return one_time(rt.settings.secret_key, payload["nonce"])


def set_up(rt: Runtime, visitor: Visitor) -> tuple[str, list[str]]:
    """Switch it on as a customer with a password does; returns the key and recovery codes."""
    visitor.get(PAGE)
    assert visitor.post(PAGE, do="begin", present=PASSWORD).status_code == 303
    key = key_on(visitor.get(PAGE).text)
    page = visitor.post(PAGE, do="confirm", code=totp.code_at(key, rt.now()))
    codes = re.findall(CODES, page.text)
    assert len(codes) == 10, page.text
    return key, codes


def test_the_page_shows_a_picture_of_our_own_and_switches_on_with_the_code(
    rt: Runtime, app: Flask, visitor: Visitor
) -> None:
    other = Visitor.of(app).sign_in(ADA)
    visitor.get(PAGE)
    visitor.post(PAGE, do="begin", present=PASSWORD)
    page = visitor.get(PAGE).text
    assert 'aria-label="QR code for your app"' in page
    refused = visitor.post(PAGE, do="confirm", code="12")
    assert refused.status_code == 422
    assert "That is not the code your app shows now" in refused.text
    code = totp.code_at(key_on(page), rt.now())
    done = visitor.post(PAGE, do="confirm", code=code)
    assert "It is on. All other browsers are signed out." in done.text
    assert other.get("/account/").status_code == 303
    again = visitor.get(PAGE).text
    assert re.findall(CODES, again) == []
    assert "10 recovery codes are left." in again


def test_it_is_not_begun_without_the_password(visitor: Visitor) -> None:
    visitor.get(PAGE)
    refused = visitor.post(PAGE, do="begin", present="guess")
    assert refused.status_code == 422
    assert "That is not your present password" in refused.text
    assert "QR code" not in visitor.get(PAGE).text


def test_without_a_password_a_mailed_code_for_this_alone_begins_it(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    rt.session.execute(sa.update(Customer).values(password_hash=None))
    rt.session.commit()
    visitor.get(PAGE)
    visitor.post("/sign-in", email=ADA)
    assert visitor.post(PAGE, do="begin", mailed=mailed(rt).code).status_code == 422
    visitor.post(PAGE, do="mail")
    assert visitor.post(PAGE, do="begin", mailed=mailed(rt).code).status_code == 303
    assert "QR code" in visitor.get(PAGE).text


@pytest.mark.parametrize("way", ["password", "code", "link"])
def test_every_way_of_signing_in_asks_for_the_second_step(
    rt: Runtime, app: Flask, visitor: Visitor, clock: FrozenClock, way: str
) -> None:
    key, _codes = set_up(rt, visitor)
    clock.advance(seconds=60)
    new = Visitor.of(app)
    to = "/account/invoices"
    if way == "password":
        first = new.post("/sign-in/password", email=ADA, password=PASSWORD, next=to)
    else:
        new.post("/sign-in", email=ADA, next=to)
        secret = mailed(rt)
        if way == "code":
            first = new.post("/sign-in/code", code=secret.code, next=to)
        else:
            new.get(f"/sign-in/link/{secret.token}")
            first = new.post(f"/sign-in/link/{secret.token}", next=to)
    assert path_of(first.location).startswith(SECOND)
    assert new.get("/account/").status_code == 303
    assert 'value="/account/invoices"' in new.get(path_of(first.location)).text
    code = totp.code_at(key, rt.now())
    wrong = new.post(SECOND, code=code[:5], next=to)
    assert wrong.status_code == 422
    assert "That code does not match, or was used." in wrong.text
    assert path_of(new.post(SECOND, code=code, next=to).location) == to
    assert new.get("/account/").status_code == 200


def test_a_code_that_was_used_lets_nobody_else_in(
    rt: Runtime, app: Flask, visitor: Visitor, clock: FrozenClock
) -> None:
    key, _codes = set_up(rt, visitor)
    clock.advance(seconds=60)
    code = totp.code_at(key, rt.now())
    answers = []
    for _each in range(2):
        new = Visitor.of(app)
        new.post("/sign-in/password", email=ADA, password=PASSWORD)
        new.get(SECOND)
        answers.append(new.post(SECOND, code=code).status_code)
    assert answers == [303, 422]


def test_a_recovery_code_lets_in_once(rt: Runtime, app: Flask, visitor: Visitor) -> None:
    _key, codes = set_up(rt, visitor)
    answers = []
    for _each in range(2):
        new = Visitor.of(app)
        new.post("/sign-in/password", email=ADA, password=PASSWORD)
        new.get(SECOND)
        answers.append(new.post(SECOND, code=codes[0]).status_code)
    assert answers == [303, 422]
    assert "9 recovery codes are left." in visitor.get(PAGE).text


def test_the_first_proof_stands_ten_minutes(
    rt: Runtime, app: Flask, visitor: Visitor, clock: FrozenClock
) -> None:
    key, _codes = set_up(rt, visitor)
    new = Visitor.of(app)
    new.post("/sign-in/password", email=ADA, password=PASSWORD)
    clock.advance(minutes=10)
    late = new.post(SECOND, code=totp.code_at(key, rt.now()))
    assert path_of(late.location) == "/sign-in"
    assert new.get("/account/").status_code == 303


def test_nobody_skips_the_first_proof(rt: Runtime, app: Flask, visitor: Visitor) -> None:
    key, _codes = set_up(rt, visitor)
    new = Visitor.of(app)
    assert path_of(new.get(SECOND).location) == "/sign-in"
    assert path_of(new.post(SECOND, code=totp.code_at(key, rt.now())).location) == "/sign-in"
    assert new.get("/account/").status_code == 303


def test_guessing_the_second_step_is_slowed_down(
    rt: Runtime, app: Flask, visitor: Visitor, clock: FrozenClock
) -> None:
    key, _codes = set_up(rt, visitor)
    clock.advance(seconds=60)
    new = Visitor.of(app)
    new.post("/sign-in/password", email=ADA, password=PASSWORD)
    new.get(SECOND)
    right = totp.code_at(key, rt.now())
    wrong = "000000" if right != "000000" else "000001"
    answers = [new.post(SECOND, code=wrong).status_code for _each in range(7)]
    assert answers == [422] * 6 + [429]
    held = new.post(SECOND, code=right)
    assert held.status_code == 429
    assert "Too many tries. You can go on at" in held.text
    assert new.get("/account/").status_code == 303


def test_known_and_unknown_addresses_get_the_same_answer_also_with_a_second_step(
    rt: Runtime, app: Flask, visitor: Visitor
) -> None:
    set_up(rt, visitor)
    answers = []
    for email in (ADA, "bob@example.org"):
        new = Visitor.of(app)
        wrong = new.post("/sign-in/password", email=email, password="a wrong password")
        text = re.sub(r'value="[^"]*"', "", wrong.text.replace(email, "X"))
        answers.append((wrong.status_code, len(text)))
    assert answers[0] == answers[1]


def test_switching_off_takes_the_password_and_then_nothing_is_asked(
    rt: Runtime, app: Flask, visitor: Visitor
) -> None:
    set_up(rt, visitor)
    visitor.get(PAGE)
    assert visitor.post(PAGE, do="off", present="guess").status_code == 422
    assert "On: signing in asks" in visitor.get("/account/security").text
    visitor.get(PAGE)
    assert visitor.post(PAGE, do="off", present=PASSWORD).status_code == 303
    assert Visitor.of(app).sign_in(ADA).get("/account/").status_code == 200


def test_staff_switch_it_off_for_who_lost_the_phone(
    rt: Runtime, app: Flask, visitor: Visitor
) -> None:
    set_up(rt, visitor)
    ref = rt.session.scalars(sa.select(Customer.public_id)).one()
    rt.session.rollback()
    owner = desk(app, rt)
    page = owner.get(f"/admin/subscribers/{ref}").text
    assert "Signs in with a second step." in page
    owner.post(f"/admin/subscribers/{ref}/two-step-off")
    assert Visitor.of(app).sign_in(ADA).get("/account/").status_code == 200
    assert "Signs in with a second step." not in owner.get(f"/admin/subscribers/{ref}").text


def staff_set_up(rt: Runtime, browser: Desk) -> str:
    page = "/admin/profile/two-step"
    browser.get(page)
    assert browser.post(page, {"do": "begin", "present": STAFF_PASSWORD}).status_code == 303
    key = key_on(browser.get(page).text)
    done = browser.post(page, {"do": "confirm", "code": totp.code_at(key, rt.now())})
    assert len(re.findall(CODES, done.text)) == 10
    return key


def test_staff_set_it_up_and_are_asked_at_their_own_door(
    rt: Runtime, app: Flask, clock: FrozenClock
) -> None:
    browser = desk(app, rt)
    key = staff_set_up(rt, browser)
    clock.advance(seconds=60)
    new = Visitor.of(app)
    new.get("/admin/sign-in")
    first = new.post("/admin/sign-in", email="owner@shop.example", password=STAFF_PASSWORD)
    assert path_of(first.location) == "/admin/sign-in/second"
    assert new.get("/admin/").status_code == 303
    new.get("/admin/sign-in/second")
    done = new.post("/admin/sign-in/second", code=totp.code_at(key, rt.now()))
    assert path_of(done.location) == "/admin/"
    assert new.get("/admin/").status_code == 200


def test_an_owner_requires_it_and_who_has_none_gets_no_further_than_setting_it_up(
    rt: Runtime, app: Flask
) -> None:
    owner = desk(app, rt)
    staff_set_up(rt, owner)
    support = desk(app, rt, "support")
    assert support.get("/admin/subscribers").status_code == 200
    owner.get("/admin/staff")
    owner.post("/admin/staff/two-step", {"do": "require"})
    assert "All staff sign in with a second step." in owner.get("/admin/staff").text
    held = support.get("/admin/subscribers")
    assert path_of(held.location) == "/admin/profile/two-step"
    staff_set_up(rt, support)
    assert support.get("/admin/subscribers").status_code == 200
    owner.get("/admin/staff")
    owner.post("/admin/staff/two-step", {"do": "free"})
    assert "Each of the staff decides for themselves" in owner.get("/admin/staff").text


def test_an_owner_lets_a_colleague_in_who_lost_the_phone(rt: Runtime, app: Flask) -> None:
    owner, support = desk(app, rt), desk(app, rt, "support")
    staff_set_up(rt, support)
    ref = rt.session.scalars(sa.select(Staff.public_id).where(Staff.name == "Mia support")).one()
    rt.session.rollback()
    support.get("/admin/profile")
    assert support.post(f"/admin/staff/{ref}/two_step_off").status_code == 403
    owner.get("/admin/staff")
    owner.post(f"/admin/staff/{ref}/two_step_off")
    new = Visitor.of(app)
    new.get("/admin/sign-in")
    first = new.post("/admin/sign-in", email="support@shop.example", password=STAFF_PASSWORD)
    assert path_of(first.location) == "/admin/"
