"""The shop window in a cache: the same page for everybody, never old, and nobody's own in it."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.blueprints.pricing.memo import _KEEP_SECONDS, SHARED_SECONDS
from storefront.extensions import db
from storefront.models import Plan
from storefront.runtime import Runtime
from storefront.services.sessions import start_staff_session
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff

PAGES = pytest.mark.parametrize("page", ["/", "/plans/pot"])


@pytest.fixture(autouse=True)
def _plan(rt: Runtime) -> None:
    make.make_plan(rt, code="pot", name="Pot")


@PAGES
def test_everybody_is_sent_the_same_page_and_no_cookie(app: Flask, client: FlaskClient, page: str):
    first, second = client.get(page), app.test_client().get(page)

    for answer in (first, second):
        assert answer.headers.getlist("Set-Cookie") == []
        assert answer.cache_control.public
        assert answer.cache_control.s_maxage == SHARED_SECONDS
        assert answer.cache_control.max_age == 0
        assert answer.cache_control.must_revalidate
    assert first.data == second.data
    assert first.headers["ETag"] == second.headers["ETag"]
    assert not first.headers["ETag"].startswith("W/")


@PAGES
def test_a_cache_keeps_apart_what_the_page_depends_on(client: FlaskClient, page: str):
    vary = {name.lower() for name in client.get(page).vary}
    assert vary >= {"accept-language", "cookie", "hx-request", "hx-request-type", "sec-fetch-site"}


@PAGES
def test_a_page_that_is_there_already_is_not_sent_again(client: FlaskClient, page: str):
    first = client.get(page)

    again = client.get(page, headers={"If-None-Match": first.headers["ETag"]})
    packed = client.get(page, headers={"If-None-Match": f"W/{first.headers['ETag']}"})

    for answer in (again, packed):
        assert answer.status_code == 304
        assert answer.data == b""
        assert answer.headers["ETag"] == first.headers["ETag"]
        assert answer.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert set(answer.vary) == set(first.vary)


@PAGES
def test_the_page_holds_no_token_and_no_nonce(client: FlaskClient, page: str):
    for _cold_and_kept in range(2):
        answer = client.get(page)
        assert "csrf_token" not in answer.text
        assert "nonce" not in answer.text
        assert "nonce" not in answer.headers["Content-Security-Policy"]
        assert re.search(r'<script src="[^"]+" defer></script>', answer.text)


def test_language_and_country_are_chosen_without_a_token(app: Flask, rt: Runtime):
    make.make_shop(rt, countries=["DE", "FR"])
    client = app.test_client()
    client.get("/")

    assert client.post("/look", data={"language": "de", "theme": "dark"}).status_code == 303
    assert client.post("/country", data={"country": "FR"}).status_code == 303

    page = client.get("/").text
    assert '<html lang="de" data-theme="dark">' in page
    assert '<option value="FR" selected>' in page


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}]
)
def test_another_sites_page_cannot_choose(client: FlaskClient, headers: dict[str, str]):
    for address in ("/look", "/country"):
        answer = client.post(address, data={"language": "de", "country": "FR"}, headers=headers)
        assert answer.status_code == 400
        assert answer.headers.getlist("Set-Cookie") == []


def test_somebody_signed_in_gets_a_page_that_nobody_keeps(client: FlaskClient, rt: Runtime):
    secret = start_staff_session(rt, make_staff(rt).id, "127.0.0.1", "test")
    with client.session_transaction() as session:
        session["staff"] = secret

    answer = client.get("/")

    assert answer.cache_control.private
    assert answer.cache_control.no_store
    assert "ETag" not in answer.headers


def test_a_browser_with_a_session_keeps_its_page_to_itself(client: FlaskClient):
    with client.session_transaction() as session:
        session["csrf_token"] = "of a form on another page"

    answer = client.get("/")

    assert answer.cache_control.private
    assert not answer.cache_control.public


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("/?utm_source=letter", {}),
        ("/", {"Referer": "https://tea.example/best"}),
        ("/", {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_a_visit_from_elsewhere_is_never_answered_to_others(
    client: FlaskClient, address: str, headers: dict[str, str]
):
    answer = client.get(address, headers=headers)

    assert answer.cache_control.private
    assert not answer.cache_control.public


def test_visits_from_two_sites_each_keep_their_own_source(client: FlaskClient):
    for _cold_and_kept in range(2):
        for site in ("tea", "coffee"):
            page = client.get("/", headers={"Referer": f"https://{site}.example/best"}).text
            assert f"ref={site}.example" in page
    direct = client.get("/").text
    assert "ref=tea" not in direct
    assert "ref=coffee" not in direct


def test_what_no_version_tells_shows_within_a_minute(
    rt: Runtime, client: FlaskClient, clock: FrozenClock
):
    assert "Pot" in client.get("/").text
    rt.session.execute(sa.update(Plan).values(name="Kettle"))
    rt.session.commit()

    clock.advance(seconds=_KEEP_SECONDS)

    assert "Kettle" in client.get("/").text
    assert _KEEP_SECONDS + SHARED_SECONDS <= 60


@pytest.mark.parametrize(("page", "cold"), [("/", 4), ("/plans/pot", 5)])
def test_a_kept_page_asks_one_statement(app: Flask, client: FlaskClient, page: str, cold: int):
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest):
        if not statement.startswith(("PRAGMA", "BEGIN")):
            seen.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        client.get(page)
        assert len(seen) == cold, seen
        seen.clear()
        client.get(page)
        assert len(seen) == 1, seen
        seen.clear()
        client.get(page, headers={"Referer": "https://tea.example/best"})
        client.get(page, headers={"Referer": "https://tea.example/best"})
        # Another page, and once more its first statement; what delivery costs is kept by now.
        assert len(seen) == cold, seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
