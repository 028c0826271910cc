"""Signing in and out: what a browser sees, keeps, and cannot get around."""

import re
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.mails import compose
from storefront.models import LoginSession, OutboxMessage, Role, Staff, StaffSession
from storefront.operations.secrets import OneTime, one_time
from storefront.runtime import Runtime
from storefront.services.outbox import Delivery
from storefront.testing.clock import FrozenClock
from tests.support.visitor import PASSWORD, Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def ada(rt: Runtime) -> int:
    return customer_with_password(rt, ADA)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor.of(app)


@pytest.fixture
def mia(rt: Runtime) -> str:
    """The owner's e-mail; her password is ``PASSWORD``."""
    role = Role(code="owner", name="Owner", permissions=[])
    rt.session.add(role)
    rt.session.flush()
    rt.session.add(
        Staff(
            public_id="stf_mia",
            email="mia@shop.example",
            name="Mia",
            password_hash=rt.passwords.hash(PASSWORD),
            role_id=role.id,
            created_at=rt.now(),
        )
    )
    rt.session.commit()
    return "mia@shop.example"


def mailed(rt: Runtime) -> OneTime:
    """Return what the newest sign-in mail carries."""
    payload = rt.session.scalars(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == "sign_in")
        .order_by(OutboxMessage.id.desc())
        .limit(1)
    ).one()
    rt.session.rollback()
    return one_time(rt.settings.secret_key, payload["nonce"])


def path_of(location: str) -> str:
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def test_a_code_from_the_mail_leads_to_the_page_that_was_asked_for(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    asked = visitor.get("/account/invoices")
    assert asked.status_code == 303
    sign_in = visitor.get(path_of(asked.location))
    assert 'name="next" value="/account/invoices"' in sign_in.text
    sent = visitor.post("/sign-in", email=f" {ADA.upper()} ", next="/account/invoices")
    page = visitor.get(path_of(sent.location))
    assert f"If {ADA} has an account, a code is on its way." in page.text
    done = visitor.post("/sign-in/code", code=mailed(rt).code, next="/account/invoices")
    assert path_of(done.location) == "/account/invoices"
    assert visitor.get("/account/invoices").status_code == 200


def test_known_and_unknown_addresses_get_the_same_answer(rt: Runtime, ada: int, app: Flask) -> None:
    answers = []
    for email in (ADA, "bob@example.org"):
        visitor = Visitor.of(app)
        sent = visitor.post("/sign-in", email=email)
        page = visitor.get(path_of(sent.location)).text.replace(email, "X")
        answers.append((sent.status_code, path_of(sent.location), len(page)))
    assert answers[0] == answers[1]


def test_looking_at_the_link_uses_nothing_and_the_button_signs_in(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    visitor.post("/sign-in", email=ADA)
    link = f"/sign-in/link/{mailed(rt).token}"
    for _ in range(3):
        assert visitor.get(link).status_code == 200
    assert visitor.get("/account/").status_code == 303
    visitor.get(link)
    assert path_of(visitor.post(link).location) == "/account/"
    assert visitor.get("/account/").status_code == 200


def test_a_used_link_asks_for_a_new_one(rt: Runtime, ada: int, app: Flask) -> None:
    first = Visitor.of(app)
    first.post("/sign-in", email=ADA)
    link = f"/sign-in/link/{mailed(rt).token}"
    first.get(link)
    first.post(link)
    second = Visitor.of(app)
    second.get(link)
    assert path_of(second.post(link).location) == "/sign-in"
    assert second.get("/account/").status_code == 303


def test_a_wrong_code_keeps_the_page_and_says_so(rt: Runtime, ada: int, visitor: Visitor) -> None:
    visitor.post("/sign-in", email=ADA)
    wrong = f"{(int(mailed(rt).code) + 1) % 1_000_000:06d}"
    for htmx in (False, True):
        answer = visitor.post("/sign-in/code", htmx=htmx, code=wrong)
        assert answer.status_code == 422
        assert "That code does not match" in answer.text
        assert f'value="{wrong}"' in answer.text
        assert ("<html" in answer.text) is not htmx


def test_a_password_signs_in_and_a_wrong_one_does_not(ada: int, visitor: Visitor) -> None:
    wrong = visitor.post("/sign-in/password", email=ADA, password="not it at all")
    assert wrong.status_code == 422
    assert "do not match" in wrong.text
    assert f'value="{ADA}"' in wrong.text
    assert "not it at all" not in wrong.text
    right = visitor.post("/sign-in/password", email=ADA, password=PASSWORD)
    assert path_of(right.location) == "/account/"


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_signing_in_never_leads_to_another_site(ada: int, visitor: Visitor, target: str) -> None:
    done = visitor.post("/sign-in/password", email=ADA, password=PASSWORD, next=target)
    assert path_of(done.location) == "/account/"
    assert "evil" not in done.location


def test_htmx_is_sent_on_by_a_header(ada: int, visitor: Visitor) -> None:
    done = visitor.post("/sign-in/password", htmx=True, email=ADA, password=PASSWORD)
    assert done.headers["HX-Redirect"] == "/account/"


def test_each_sign_in_is_a_new_session(rt: Runtime, ada: int, visitor: Visitor) -> None:
    before = visitor.get("/sign-in").headers.get("Set-Cookie", "")
    for _ in range(2):
        visitor.sign_in(ADA)
        visitor.post("/sign-out")
        visitor.token = ""
    hashes = rt.session.scalars(sa.select(LoginSession.token_hash)).all()
    assert len(set(hashes)) == 2
    assert not any(one[:24] in before for one in hashes)


def test_signing_out_ends_the_session_on_the_server(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    visitor.sign_in(ADA)
    stolen = dict(visitor.client._cookies)
    visitor.post("/sign-out")
    assert visitor.get("/account/").status_code == 303
    visitor.client._cookies.update(stolen)
    assert visitor.get("/account/").status_code == 303


def test_guessing_passwords_is_slowed_down_and_the_owner_gets_in(ada: int, app: Flask) -> None:
    thief = Visitor.of(app)
    statuses = [
        thief.post("/sign-in/password", email=ADA, password=f"guess {n} guess").status_code
        for n in range(9)
    ]
    assert statuses == [422] * 8 + [429]
    owner = Visitor.of(app)
    owner.client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    owner.sign_in(ADA)
    assert owner.get("/account/").status_code == 200


def test_the_refusal_says_when_to_go_on(ada: int, visitor: Visitor, clock: FrozenClock) -> None:
    for _ in range(5):
        answer = visitor.post("/sign-in", email=ADA)
    assert answer.status_code == 429
    assert "You can go on at 10:10." in answer.text
    clock.advance(minutes=11)
    assert visitor.post("/sign-in", email=ADA).status_code == 303


def test_an_address_that_is_none_is_named_at_the_field(visitor: Visitor) -> None:
    answer = visitor.post("/sign-in", email="ada@")
    assert answer.status_code == 422
    assert "<title>Error: Sign in" in answer.text
    assert "Enter an e-mail like name@example.com" in answer.text
    assert 'value="ada@"' in answer.text


def test_a_form_without_its_token_is_refused(ada: int, app: Flask) -> None:
    answer = app.test_client().post("/sign-in/password", data={"email": ADA, "password": PASSWORD})
    assert answer.status_code == 400


def test_the_pages_of_the_account_are_never_stored(ada: int, visitor: Visitor) -> None:
    visitor.sign_in(ADA)
    assert "no-store" in visitor.get("/account/").headers["Cache-Control"]


def test_staff_sign_in_with_a_password_and_out(rt: Runtime, mia: str, visitor: Visitor) -> None:
    visitor.get("/admin/sign-in")
    wrong = visitor.post("/admin/sign-in", email=mia, password="not it at all")
    assert wrong.status_code == 422
    done = visitor.post("/admin/sign-in", email=mia, password=PASSWORD)
    assert path_of(done.location) == "/admin/"
    assert visitor.get("/admin/").status_code == 200
    visitor.post("/admin/sign-out")
    assert visitor.get("/admin/").status_code == 303
    row = rt.session.scalars(sa.select(StaffSession)).one()
    assert row.revoked_at is not None


def test_guessing_a_staff_password_is_slowed_down(mia: str, visitor: Visitor) -> None:
    visitor.get("/admin/sign-in")
    statuses = [
        visitor.post("/admin/sign-in", email=mia, password="guess").status_code for _ in range(9)
    ]
    assert statuses[-1] == 429


def test_a_disabled_staff_user_stays_out(rt: Runtime, mia: str, visitor: Visitor) -> None:
    rt.session.execute(sa.update(Staff).values(disabled_at=rt.now()))
    rt.session.commit()
    visitor.get("/admin/sign-in")
    assert visitor.post("/admin/sign-in", email=mia, password=PASSWORD).status_code == 422


def test_the_session_cookie_is_not_for_scripts(ada: int, visitor: Visitor) -> None:
    answer = visitor.post("/sign-in/password", email=ADA, password=PASSWORD)
    cookie: SimpleCookie = SimpleCookie()
    for header in answer.headers.getlist("Set-Cookie"):
        cookie.load(header)
    morsel = next(iter(cookie.values()))
    assert morsel["httponly"]
    assert morsel["samesite"] == "Lax"


def test_the_mail_leads_back_to_the_page_that_was_asked_for(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    visitor.post("/sign-in", email=ADA, next="/account/invoices")
    row = rt.session.scalars(sa.select(OutboxMessage)).one()
    delivery = Delivery(**{name: getattr(row, name) for name in Delivery.__dataclass_fields__})
    mail = compose(rt, delivery)
    rt.session.rollback()
    assert mail is not None
    assert mailed(rt).code in mail.subject
    link = re.search(r"http://localhost(/sign-in/link/\S+)", mail.text)
    assert link is not None
    visitor.get(link[1])
    done = visitor.post(link[1].partition("?")[0], next="/account/invoices")
    assert path_of(done.location) == "/account/invoices"
    assert link[1].endswith("?next=%2Faccount%2Finvoices")


def test_a_mistyped_address_is_pointed_out_and_stops_nobody(visitor: Visitor) -> None:
    page = visitor.post("/sign-in", email="ada@gmial.com")
    assert page.status_code == 303
    shown = visitor.get("/sign-in/code").text
    assert "Did you mean ada@gmail.com?" in shown
    again = re.search(r'name="email" value="ada@gmail.com"', shown)
    assert again is not None
    visitor.post("/sign-in", email="ada@gmail.com")
    assert "Did you mean" not in visitor.get("/sign-in/code").text


def test_the_hint_stands_beside_the_field_when_the_page_comes_back(visitor: Visitor) -> None:
    page = visitor.post("/sign-in/password", email="ada@gmial.com", password="")
    assert page.status_code == 422
    field = re.search(r'<input[^>]*id="password-email"[^>]*>', page.text)
    assert field is not None
    assert 'value="ada@gmial.com"' in field[0]
    assert "password-email-meant" in field[0]
    assert 'id="password-email-meant">Did you mean ada@gmail.com?' in page.text
