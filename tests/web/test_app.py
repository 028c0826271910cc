"""The application as it is put together: proxies, prefix, cookies, hosts, production."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from storefront.adapters.failpoints import failpoint
from storefront.app import create_app
from storefront.blueprints.context import external_url
from storefront.extensions import db
from storefront.migrate import upgrade
from storefront.runtime import Runtime
from storefront.security import POLICY, PUBLIC
from storefront.settings import Settings, SettingsError
from storefront.testing.clock import FrozenClock

Make = Callable[..., Flask]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return an application with these settings on a database of its own."""

    def made(**changes: object) -> Flask:
        app = create_app(replace(Settings(environment="test", data_dir=tmp_path), **changes))
        for endpoint, view in (("t.address", _address), ("t.session", _start_session)):
            monkeypatch.setitem(POLICY, endpoint, PUBLIC)
            app.add_url_rule(f"/{endpoint}", endpoint, view)
        with app.app_context():
            upgrade(db.engine)
        return app

    return made


def _address() -> str:
    return external_url("health.alive")


def _start_session() -> str:
    from flask import flash, request

    flash("hello")
    return request.remote_addr or ""


PRODUCTION = {
    "environment": "production",
    "secret_key": "k" * 40,
    "base_url": "https://shop.example",
    "trusted_hosts": ("shop.example",),
    "mail_url": "smtp://mail.example",
    "plugin_dirs": (),
}


def test_wrong_settings_stop_the_start_and_are_all_named(tmp_path: Path):
    with pytest.raises(SettingsError) as caught:
        create_app(Settings(environment="production", data_dir=tmp_path))
    assert len(caught.value.problems) == 4


def test_production_sends_secure_cookies_and_asks_for_https_from_now_on(make: Make):
    client = make(**PRODUCTION).test_client()
    answer = client.get("/t.session", base_url="https://shop.example")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_production_ignores_failpoints(make: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STOREFRONT_FAILPOINTS", "renewal.after_sent:raise")
    make(**PRODUCTION)
    failpoint("renewal.after_sent")


def test_links_for_the_outside_never_follow_the_host_header(make: Make):
    client = make(base_url="https://shop.example", url_prefix="/boxes").test_client()
    answer = client.get("/t.address", base_url="http://evil.example/boxes")
    assert answer.text == "https://shop.example/boxes/healthz"


def test_below_a_path_only_our_path_gets_our_cookie(make: Make):
    client = make(url_prefix="/boxes").test_client()
    answer = client.get("/boxes/t.session", base_url="http://localhost/")
    assert answer.status_code == 200
    assert "Path=/boxes/" in answer.headers["Set-Cookie"]


def test_a_forwarded_address_is_believed_only_behind_a_proxy(make: Make):
    headers = {"X-Forwarded-For": "203.0.113.9"}
    alone, behind = make(), make(proxy_hops=1)
    assert alone.test_client().get("/t.session", headers=headers).text == "127.0.0.1"
    assert behind.test_client().get("/t.session", headers=headers).text == "203.0.113.9"


def test_the_shops_day_begins_in_its_own_zone(rt: Runtime, clock: FrozenClock):
    clock.advance(hours=14)
    assert clock.now().isoformat() == "2027-03-02T23:00:00+00:00"
    assert rt.today().isoformat() == "2027-03-03"


def test_reading_the_shop_leaves_no_transaction_open(rt: Runtime):
    rt.session.rollback()
    rt.forget_shop()
    assert rt.shop.currency == "EUR"
    assert not rt.session().in_transaction()


def test_a_forked_process_shares_no_connection(make: Make):
    app = make()
    with app.app_context():
        before = id(_connection_of(db.session))
        child = os.fork()
        if child == 0:
            os._exit(0 if db.engine.pool.checkedin() == 0 else 1)  # type: ignore[attr-defined]
        assert os.waitpid(child, 0)[1] == 0
        assert id(_connection_of(db.session)) == before


def _connection_of(session) -> object:
    session.execute(text("SELECT 1"))
    connection = session.connection().connection.driver_connection
    session.rollback()
    return connection
