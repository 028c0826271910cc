"""Name, language and e-mail in the account: what changes, who may, and who is told."""

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Customer, LoginLink, OutboxMessage
from storefront.operations.secrets import one_time
from storefront.runtime import Runtime
from storefront.testing.clock import FrozenClock
from tests.support.visitor import PASSWORD, Visitor, customer_with_password

ADA, NEW, PAGE = "ada@example.org", "ada@work.example", "/account/profile/email"


@pytest.fixture
def ada(rt: Runtime) -> int:
    return customer_with_password(rt, ADA)


@pytest.fixture
def visitor(app: Flask, ada: int) -> Visitor:
    visitor = Visitor.of(app)
    visitor.headers = {"Accept-Language": "en"}
    return visitor.sign_in(ADA)


def newest(rt: Runtime, topic: str) -> dict[str, object]:
    found: dict[str, object] = rt.session.scalars(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == topic)
        .order_by(OutboxMessage.id.desc())
        .limit(1)
    ).one()
    rt.session.rollback()
    return found


def code_of(rt: Runtime, topic: str) -> str:
    return one_time(rt.settings.secret_key, str(newest(rt, topic)["nonce"])).code


def email_of(rt: Runtime, key: int) -> str | None:
    found = rt.session.scalar(sa.select(Customer.email).where(Customer.id == key))
    rt.session.rollback()
    return found


def ask(visitor: Visitor, email: str = NEW, present: str = PASSWORD) -> int:
    visitor.get(PAGE)
    return visitor.post(PAGE, do="ask", email=email, present=present).status_code


def test_name_and_language_are_kept_and_the_next_page_is_in_it(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    visitor.get("/account/profile")
    assert visitor.post("/account/profile", name="", locale="de").status_code == 422
    assert visitor.post("/account/profile", name="Ada", locale="xx").status_code == 422
    visitor.post("/account/profile", name="  Ada   Lovelace ", locale="de")
    page = visitor.get("/account/profile").text
    assert 'value="Ada Lovelace"' in page
    assert 'lang="de"' in page
    stored = rt.session.scalar(sa.select(Customer.locale).where(Customer.id == ada))
    rt.session.rollback()
    assert stored == "de"


def test_the_code_of_the_new_mailbox_changes_the_e_mail_and_ends_other_sessions(
    rt: Runtime, app: Flask, ada: int, visitor: Visitor
) -> None:
    other = Visitor.of(app).sign_in(ADA)
    assert ask(visitor, f" {NEW.upper()} ") == 303
    assert email_of(rt, ada) == ADA
    assert newest(rt, "new_email")["to"] == NEW
    visitor.get(PAGE)
    done = visitor.post(PAGE, do="code", code=code_of(rt, "new_email"))
    assert done.status_code == 303, done.text
    assert email_of(rt, ada) == NEW
    assert newest(rt, "email_changed")["to"] == ADA
    assert visitor.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 303
    assert Visitor.of(app).sign_in(NEW).get("/account/").status_code == 200
    refused = Visitor.of(app).post("/sign-in/password", email=ADA, password=PASSWORD)
    assert refused.status_code == 422
    left = rt.session.scalar(sa.select(sa.func.count()).select_from(LoginLink))
    assert left == 0


def test_without_the_password_nothing_is_mailed(rt: Runtime, visitor: Visitor) -> None:
    assert ask(visitor, present="guess") == 422
    count = rt.session.scalar(sa.select(sa.func.count()).where(OutboxMessage.topic == "new_email"))
    assert count == 0


def test_who_has_no_password_proves_the_present_mailbox_first(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    rt.session.execute(sa.update(Customer).values(password_hash=None))
    rt.session.commit()
    visitor.get(PAGE)
    visitor.post("/sign-in", email=ADA)
    wrong = code_of(rt, "sign_in")
    assert visitor.post(PAGE, do="ask", email=NEW, mailed=wrong).status_code == 422
    visitor.post(PAGE, do="mail")
    right = code_of(rt, "sign_in")
    assert visitor.post(PAGE, do="ask", email=NEW, mailed=right).status_code == 303
    assert email_of(rt, ada) == ADA


def test_a_code_proves_the_address_it_was_mailed_to_and_no_other(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    ask(visitor)
    code = code_of(rt, "new_email")
    visitor.get(PAGE)
    visitor.post(PAGE, do="again")
    ask(visitor, "somebody@else.example")
    visitor.get(PAGE)
    assert visitor.post(PAGE, do="code", code=code).status_code == 422
    assert email_of(rt, ada) == ADA


def test_a_code_that_is_older_than_ten_minutes_changes_nothing(
    rt: Runtime, ada: int, visitor: Visitor, clock: FrozenClock
) -> None:
    ask(visitor)
    clock.advance(minutes=11)
    visitor.get(PAGE)
    late = visitor.post(PAGE, do="code", code=code_of(rt, "new_email"))
    assert late.status_code == 422
    assert email_of(rt, ada) == ADA


def test_an_address_that_has_an_account_is_answered_like_any_other(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    bob = customer_with_password(rt, "bob@example.org")
    pages = []
    for email in ("bob@example.org", NEW):
        visitor.get(PAGE)
        visitor.post(PAGE, do="again")
        assert ask(visitor, email) == 303
        pages.append(len(visitor.get(PAGE).text.replace(email, "X")))
    assert pages[0] == pages[1]
    visitor.post(PAGE, do="again")
    ask(visitor, "bob@example.org")
    assert newest(rt, "new_email")["is_taken"] is True
    visitor.get(PAGE)
    # Nobody is told this code; even with it the address stays its owner's.
    taken = visitor.post(PAGE, do="code", code=code_of(rt, "new_email"))
    assert taken.status_code == 422
    assert (email_of(rt, ada), email_of(rt, bob)) == (ADA, "bob@example.org")
