"""Where somebody is signed in: listed in words, ended one by one or all at once, dead at once."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import LoginSession, StaffSession
from storefront.runtime import Runtime
from storefront.testing.clock import FrozenClock
from tests.support.admin import Desk, make_staff
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1"


@pytest.fixture
def ada(rt: Runtime) -> int:
    return customer_with_password(rt, ADA)


def last_seen(rt: Runtime, model: type[LoginSession] | type[StaffSession]) -> object:
    rt.session.rollback()
    found = rt.session.scalars(sa.select(model.seen_at)).one()
    rt.session.rollback()
    return found


def ends(page: str) -> list[str]:
    return re.findall(r'action="([^"]+/sessions/[0-9a-f]{24}/end)"', page)


def test_a_sign_in_is_listed_by_browser_with_the_day_of_last_use(
    rt: Runtime, app: Flask, ada: int, clock: FrozenClock
) -> None:
    visitor = Visitor.of(app)
    visitor.headers = {"User-Agent": PHONE, "Accept-Language": "en"}
    visitor.sign_in(ADA)
    clock.advance(days=2)
    visitor.get("/account/")
    page = visitor.get("/account/security").text
    assert "Safari on iPhone" in page
    assert "This browser" in page
    assert page.count("last used on") == 1
    assert last_seen(rt, LoginSession) == rt.now()


def test_a_use_is_noted_once_a_day(rt: Runtime, app: Flask, ada: int, clock: FrozenClock) -> None:
    visitor = Visitor.of(app).sign_in(ADA)
    began = last_seen(rt, LoginSession)
    clock.advance(hours=23)
    visitor.get("/account/")
    assert last_seen(rt, LoginSession) == began
    clock.advance(hours=1)
    visitor.get("/account/")
    assert last_seen(rt, LoginSession) == rt.now()


def test_an_ended_session_is_not_noted_as_used(
    rt: Runtime, app: Flask, ada: int, clock: FrozenClock
) -> None:
    visitor = Visitor.of(app).sign_in(ADA)
    before = last_seen(rt, LoginSession)
    rt.session.execute(sa.update(LoginSession).values(revoked_at=rt.now()))
    rt.session.commit()
    clock.advance(days=2)
    assert visitor.get("/account/").status_code == 303
    assert last_seen(rt, LoginSession) == before


def test_staff_see_their_browsers_and_sign_one_out(rt: Runtime, app: Flask) -> None:
    mia = make_staff(rt)
    here, there = Desk(app.test_client()), Desk(app.test_client())
    here.sign_in(rt, mia.id)
    there.sign_in(rt, mia.id)
    newest, oldest = ends(here.get("/admin/profile").text)
    assert newest != oldest
    assert here.post(newest).status_code == 303
    assert there.get("/admin/").status_code == 303
    assert here.get("/admin/").status_code == 200
    here.get("/admin/profile")
    assert here.post(oldest).location.endswith("/admin/sign-in")
    assert here.get("/admin/").status_code == 303


def test_staff_sign_out_everywhere_else(rt: Runtime, app: Flask) -> None:
    mia = make_staff(rt)
    browsers = [Desk(app.test_client()) for _ in range(3)]
    for one in browsers:
        one.sign_in(rt, mia.id)
    browsers[1].get("/admin/profile")
    browsers[1].post("/admin/profile/sessions/end-others")
    assert [one.get("/admin/").status_code for one in browsers] == [303, 200, 303]


def test_nobody_ends_a_colleagues_session(rt: Runtime, app: Flask) -> None:
    mia, tom = make_staff(rt), make_staff(rt, "support")
    here, his = Desk(app.test_client()), Desk(app.test_client())
    here.sign_in(rt, mia.id)
    his.sign_in(rt, tom.id)
    (mine,) = ends(here.get("/admin/profile").text)
    his.get("/admin/profile")
    assert his.post(mine).status_code == 404
    assert here.get("/admin/").status_code == 200


def test_the_use_of_a_staff_session_is_noted(rt: Runtime, app: Flask, clock: FrozenClock) -> None:
    browser = Desk(app.test_client())
    browser.sign_in(rt, make_staff(rt).id)
    rt.session.execute(sa.update(StaffSession).values(seen_at=None))
    rt.session.commit()
    browser.get("/admin/profile")
    assert last_seen(rt, StaffSession) == rt.now()
