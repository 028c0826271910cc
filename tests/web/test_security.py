"""Who may open what, forged requests, headers, and what a visitor sees of an error."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask, redirect, url_for
from flask.testing import FlaskClient

from storefront.blueprints.context import customer, runtime, staff_user
from storefront.headers import Nonce, content_security_policy, permissions_policy
from storefront.logins import (
    forget_customer,
    forget_staff,
    remember_customer,
    remember_staff,
)
from storefront.models import Customer, LoginSession, Role, ShopSettings, Staff, StaffSession
from storefront.models.settings import Throttle
from storefront.queries.logins import hash_secret
from storefront.runtime import Runtime
from storefront.security import (
    CUSTOMER,
    POLICY,
    PUBLIC,
    SIGNED,
    PolicyError,
    check_policy,
    forget_tries,
    register_policy,
    return_target,
    safe_target,
    staff,
    throttle,
)
from storefront.testing.clock import FrozenClock

TEST_PAGES = {
    "t.public": PUBLIC,
    "t.write": PUBLIC,
    "t.own": CUSTOMER,
    "t.desk": staff(),
    "t.refund": staff("billing.refund"),
    "t.hook": SIGNED,
    "t.enter": PUBLIC,
    "t.leave": PUBLIC,
    "t.broken": PUBLIC,
    "t.busy": PUBLIC,
    "t.back": PUBLIC,
    "t.sneaky": PUBLIC,
    "t.nonce": PUBLIC,
}


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application with a few pages of every kind."""
    for endpoint, access in TEST_PAGES.items():
        monkeypatch.setitem(POLICY, endpoint, access)
    app.add_url_rule("/t/public", "t.public", lambda: "open")
    app.add_url_rule("/t/write", "t.write", lambda: "done", methods=["POST"])
    app.add_url_rule("/t/own", "t.own", lambda: customer().name, methods=["GET", "POST"])
    app.add_url_rule("/t/desk", "t.desk", lambda: staff_user().name)
    app.add_url_rule("/t/refund", "t.refund", lambda: "refunded")
    app.add_url_rule("/t/hook", "t.hook", lambda: "taken", methods=["POST"])
    app.add_url_rule("/t/enter/<kind>/<secret>", "t.enter", _enter)
    app.add_url_rule("/t/leave", "t.leave", _leave)
    app.add_url_rule("/t/broken", "t.broken", _broken)
    app.add_url_rule("/t/busy", "t.busy", _busy)
    app.add_url_rule("/t/back", "t.back", lambda: redirect(return_target("/t/public")))
    app.add_url_rule("/t/sneaky", "t.sneaky", _write_on_get)
    app.add_url_rule("/t/nonce", "t.nonce", lambda: str(Nonce()))
    # What matters here is what a visitor gets, not the traceback a test would see.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


def runtime_of(app: Flask) -> Runtime:
    found: Runtime = app.extensions["storefront"]
    return found


def _enter(kind: str, secret: str) -> str:
    (remember_customer if kind == "customer" else remember_staff)(secret)
    return "in"


def _leave() -> str:
    forget_customer()
    forget_staff()
    return "out"


def _broken() -> str:
    raise RuntimeError("canary-in-a-trace")


def _busy() -> str:
    raise sa.exc.OperationalError("SELECT 1", {}, Exception("database is locked"))


def _write_on_get() -> str:
    runtime().session.execute(sa.update(ShopSettings).values(name="changed by a GET"))
    return "changed"


@pytest.fixture
def ada(rt: Runtime) -> str:
    """A customer's session secret."""
    person = Customer(
        public_id="cus_1", email="ada@customer.example", name="Ada Byron", created_at=rt.now()
    )
    rt.session.add(person)
    rt.session.flush()
    rt.session.add(
        LoginSession(
            customer_id=person.id,
            token_hash=hash_secret("adas-secret"),
            created_at=rt.now(),
            expires_at=rt.now() + timedelta(days=30),
            method="password",
        )
    )
    rt.session.commit()
    return "adas-secret"


@pytest.fixture
def packer(rt: Runtime) -> str:
    """The session secret of a staff user whose role holds one permission."""
    role = Role(code="fulfilment", name="Fulfilment", permissions=["boxes.export"])
    rt.session.add(role)
    rt.session.flush()
    person = Staff(
        public_id="stf_1",
        email="pat@shop.example",
        name="Pat",
        password_hash="x",
        role_id=role.id,
        created_at=rt.now(),
    )
    rt.session.add(person)
    rt.session.flush()
    rt.session.add(
        StaffSession(
            staff_id=person.id,
            token_hash=hash_secret("pats-secret"),
            created_at=rt.now(),
            expires_at=rt.now() + timedelta(hours=12),
        )
    )
    rt.session.commit()
    return "pats-secret"


def token_of(client: FlaskClient) -> str:
    with client.session_transaction() as kept:
        kept["csrf_token"] = "raw-token-of-the-session"
    app = client.application
    with app.test_request_context():
        from flask import session
        from flask_wtf.csrf import generate_csrf

        session["csrf_token"] = "raw-token-of-the-session"
        return generate_csrf()


# ----------------------------------------------------------------------------------- policy


def test_every_endpoint_of_the_product_is_in_the_policy_table(app: Flask):
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert endpoints - POLICY.keys() == set()


def test_a_page_that_nobody_listed_stops_the_start(app: Flask):
    app.add_url_rule("/t/forgotten", "t.forgotten", lambda: "oops")
    with pytest.raises(PolicyError, match=r"t\.forgotten"):
        check_policy(app)


def test_an_endpoint_cannot_be_listed_with_two_meanings(app: Flask):
    with pytest.raises(PolicyError, match=r"t\.own"):
        register_policy({"t.own": PUBLIC})


@pytest.mark.parametrize("path", ["/t/own", "/t/desk", "/t/refund"])
def test_nobody_gets_in_without_signing_in(client: FlaskClient, path: str):
    answer = client.get(path)
    assert answer.status_code in {303, 401}


def test_a_signed_in_customer_gets_in_and_a_second_browser_does_not(app: Flask, ada: str):
    first, second = app.test_client(), app.test_client()
    first.get(f"/t/enter/customer/{ada}")
    assert first.get("/t/own").text == "Ada Byron"
    assert second.get("/t/own").status_code in {303, 401}


def test_a_customer_is_no_staff_and_staff_is_no_customer(app: Flask, ada: str, packer: str):
    shopper, staffer = app.test_client(), app.test_client()
    shopper.get(f"/t/enter/customer/{ada}")
    staffer.get(f"/t/enter/staff/{packer}")
    assert shopper.get("/t/desk").status_code in {303, 401}
    assert staffer.get("/t/own").status_code in {303, 401}
    assert staffer.get("/t/desk").text == "Pat"


def test_a_customers_secret_opens_no_staff_page(client: FlaskClient, ada: str):
    client.get(f"/t/enter/staff/{ada}")
    assert client.get("/t/desk").status_code in {303, 401}


def test_a_permission_the_role_lacks_is_refused(client: FlaskClient, packer: str):
    client.get(f"/t/enter/staff/{packer}")
    assert client.get("/t/refund").status_code == 403


@pytest.mark.parametrize("end", ["revoked", "expired", "left"])
def test_an_ended_session_opens_nothing(
    client: FlaskClient, rt: Runtime, clock: FrozenClock, ada: str, end: str
):
    client.get(f"/t/enter/customer/{ada}")
    if end == "revoked":
        rt.session.execute(sa.update(LoginSession).values(revoked_at=rt.now()))
        rt.session.commit()
    elif end == "expired":
        clock.advance(days=31)
    else:
        client.get("/t/leave")
    assert client.get("/t/own").status_code in {303, 401}


def test_a_disabled_staff_user_is_out_at_once(client: FlaskClient, rt: Runtime, packer: str):
    client.get(f"/t/enter/staff/{packer}")
    rt.session.execute(sa.update(Staff).values(disabled_at=rt.now()))
    rt.session.commit()
    assert client.get("/t/desk").status_code in {303, 401}


def test_the_wanted_page_comes_after_the_sign_in(client: FlaskClient):
    answer = client.get("/t/own?page=2")
    assert answer.status_code == 303
    assert answer.location == "/sign-in?next=/t/own?page%3D2"


def test_htmx_is_told_to_leave_for_the_sign_in_and_to_come_back_to_the_page(client: FlaskClient):
    headers = {
        "HX-Request": "true",
        "HX-Request-Type": "partial",
        "HX-Current-URL": "http://localhost/account/boxes",
    }
    answer = client.get("/t/own", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/account/boxes"


def test_a_form_sent_after_the_session_ended_comes_back_to_its_page(client: FlaskClient):
    data = {"csrf_token": token_of(client)}
    referred = client.post("/t/own", data=data, headers={"Referer": "http://localhost/a?b=c"})
    assert referred.location == "/sign-in?next=/a?b%3Dc"
    foreign = client.post("/t/own", data=data, headers={"Referer": "http://evil.example/a"})
    assert foreign.location == "/sign-in"


# ------------------------------------------------------------------------------------- csrf


def test_a_form_without_token_is_refused(client: FlaskClient):
    answer = client.post("/t/write")
    assert answer.status_code == 400
    assert "Reload it" in answer.text


def test_a_form_with_the_sessions_token_is_taken(client: FlaskClient):
    assert client.post("/t/write", data={"csrf_token": token_of(client)}).text == "done"


def test_another_sessions_token_is_refused(app: Flask):
    mine, theirs = app.test_client(), app.test_client()
    with mine.session_transaction() as kept:
        kept["csrf_token"] = "another raw token"
    assert mine.post("/t/write", data={"csrf_token": token_of(theirs)}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_sites_page_is_refused_even_with_a_token(
    client: FlaskClient, headers: dict[str, str]
):
    data = {"csrf_token": token_of(client)}
    assert client.post("/t/write", data=data, headers=headers).status_code == 400


def test_a_token_from_before_the_sign_in_is_dead_after_it(client: FlaskClient, ada: str):
    token = token_of(client)
    client.get(f"/t/enter/customer/{ada}")
    assert client.post("/t/own", data={"csrf_token": token}).status_code == 400


def test_a_signed_message_needs_no_token(client: FlaskClient):
    assert client.post("/t/hook", headers={"Sec-Fetch-Site": "cross-site"}).text == "taken"


def test_a_get_cannot_write(client: FlaskClient, rt: Runtime):
    assert client.get("/t/sneaky").status_code == 500
    assert rt.shop.name == "Nine Kettles"


# ----------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/ok\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "evil.example",
        "",
        None,
    ],
)
def test_no_redirect_leaves_the_site(target: str | None):
    assert safe_target(target) is None


def test_a_visitor_goes_where_they_wanted_or_to_the_usual_place(client: FlaskClient):
    assert client.get("/t/back?next=/t/own").location == "/t/own"
    assert client.get("/t/back?next=//evil.example").location == "/t/public"


# ----------------------------------------------------------------------------------- headers


def directives(answer_headers: dict[str, str]) -> dict[str, list[str]]:
    pairs = (part.split() for part in answer_headers["Content-Security-Policy"].split("; "))
    return {name: sources for name, *sources in pairs}


def test_nothing_inline_runs_and_nobody_may_frame_us(client: FlaskClient):
    answer = client.get("/t/public")
    policy = directives(dict(answer.headers))
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_a_nonce_is_allowed_once_and_is_another_each_time(client: FlaskClient):
    first, second = client.get("/t/nonce"), client.get("/t/nonce")
    assert first.text != second.text
    assert f"'nonce-{first.text}'" in directives(dict(first.headers))["script-src"]


def test_only_pages_that_pay_may_speak_with_a_gateway(app: Flask, monkeypatch):
    gateway = runtime_of(app).gateways["demo"]
    sources = {"form-action": ["https://pay.example"], "script-src": ["https://js.example; x"]}
    monkeypatch.setattr(type(gateway), "csp_sources", lambda _self: sources)
    with app.test_request_context():
        assert "form-action 'self' https://pay.example" in content_security_policy("checkout")
        assert "js.example" not in content_security_policy("checkout")
        assert "pay.example" not in content_security_policy("pricing")


def test_scripts_of_a_gateway_run_on_its_own_pages_and_on_no_other(app: Flask, monkeypatch):
    gateway = runtime_of(app).gateways["demo"]
    host = "https://js.example"
    sources = {"script-src": [host], "frame-src": [host], "connect-src": [host]}
    monkeypatch.setattr(type(gateway), "csp_sources", lambda _self: sources)
    with app.test_request_context():
        for blueprint in ("checkout", "account", "pay", "stripe", "pricing", "admin"):
            assert host not in content_security_policy(blueprint)
        assert content_security_policy("demo").count(host) == 3


def test_wallets_may_ask_for_a_payment_in_a_gateway_s_frames_on_its_own_pages_alone(
    app: Flask, client: FlaskClient, monkeypatch
):
    assert "payment=()" in client.get("/t/public").headers["Permissions-Policy"]
    gateway = runtime_of(app).gateways["demo"]
    host = "https://js.example"
    sources = {"frame-src": [host, "'self'", 'https://odd"quote'], "form-action": [host]}
    monkeypatch.setattr(type(gateway), "csp_sources", lambda _self: sources)
    with app.test_request_context():
        for blueprint in ("checkout", "account", "pay", "stripe", "pricing", "admin"):
            assert "payment=()" in permissions_policy(blueprint)
        assert f'payment=(self "{host}"),' in permissions_policy("demo")


def test_a_private_page_is_never_kept(client: FlaskClient, ada: str):
    client.get(f"/t/enter/customer/{ada}")
    answer = client.get("/t/own")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Robots-Tag"] == "noindex"


def test_a_visitor_who_did_nothing_gets_no_cookie(client: FlaskClient):
    assert "Set-Cookie" not in client.get("/t/public").headers


def test_the_session_cookie_is_ours_alone(client: FlaskClient, ada: str):
    cookie = client.get(f"/t/enter/customer/{ada}").headers["Set-Cookie"]
    assert cookie.startswith("storefront_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


# ------------------------------------------------------------------------------------- errors


def test_an_error_shows_a_number_and_no_trace(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
):
    answer = client.get("/t/broken")
    number = answer.headers["X-Request-ID"]
    assert answer.status_code == 500
    assert "canary-in-a-trace" not in answer.text
    assert number in answer.text
    assert f"request {number} failed" in caplog.text


def test_a_busy_database_asks_for_patience(client: FlaskClient):
    answer = client.get("/t/busy")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_htmx_gets_an_error_beside_the_untouched_page(client: FlaskClient):
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    answer = client.get("/t/nowhere", headers=headers)
    assert answer.status_code == 404
    assert "<html" not in answer.text
    assert answer.headers["HX-Retarget"] == "#status"


def test_a_shop_that_is_not_set_up_says_so(client: FlaskClient, rt: Runtime):
    rt.session.execute(sa.delete(ShopSettings))
    rt.session.commit()
    answer = client.get("/t/nowhere")
    assert answer.status_code == 404
    assert "not open yet" in answer.text


def test_a_database_that_is_gone_still_gets_a_page(client: FlaskClient, rt: Runtime):
    # A table that is missing fails like a server that is down: each statement raises.
    rt.session.execute(sa.text("ALTER TABLE shop_settings RENAME TO elsewhere"))
    rt.session.commit()
    try:
        answer = client.get("/t/broken")
        assert answer.status_code == 500
        assert answer.headers["X-Request-ID"] in answer.text
    finally:
        rt.session.execute(sa.text("ALTER TABLE elsewhere RENAME TO shop_settings"))
        rt.session.commit()


def test_the_health_of_the_process_and_of_its_database(client: FlaskClient):
    assert client.get("/healthz").json == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["schema"]) == (200, "current")


@pytest.mark.parametrize("path", ["/", "/healthz", "/admin/"])
def test_a_wrong_host_name_is_refused_without_a_word_in_the_log(
    app: Flask, path: str, caplog: pytest.LogCaptureFixture
):
    app.config["TRUSTED_HOSTS"] = ["shop.example"]
    answer = app.test_client().get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "No shop answers under this name" in answer.text
    assert [line for line in caplog.records if line.levelname in {"WARNING", "ERROR"}] == []


# ----------------------------------------------------------------------------------- throttle


@pytest.fixture
def tries(rt: Runtime) -> Callable[[], bool]:
    """Try once to sign in as Ada; three tries are let through in ten minutes."""
    return lambda: throttle(rt, "sign-in", "ada@customer.example", 3, 600) is None


@pytest.mark.usefixtures("app")
def test_the_fourth_try_waits_and_the_window_passes(tries: Callable[[], bool], clock: FrozenClock):
    assert [tries() for _ in range(4)] == [True, True, True, False]
    clock.advance(seconds=599)
    assert not tries()
    clock.advance(seconds=1)
    assert tries()


@pytest.mark.usefixtures("app")
def test_the_right_password_starts_from_zero(rt: Runtime, tries: Callable[[], bool]):
    assert [tries() for _ in range(3)] == [True] * 3
    forget_tries(rt, "sign-in", "ada@customer.example")
    assert tries()


@pytest.mark.usefixtures("app")
def test_one_account_does_not_hold_up_another(rt: Runtime, tries: Callable[[], bool]):
    assert [tries() for _ in range(4)][-1] is False
    assert throttle(rt, "sign-in", "grace@customer.example", 3, 600) is None


@pytest.mark.usefixtures("app")
def test_the_table_of_tries_holds_no_address(rt: Runtime, tries: Callable[[], bool]):
    tries()
    kept = rt.session.scalars(sa.select(Throttle.key)).one()
    assert re.fullmatch(r"[0-9a-f]{64}", kept)


# ------------------------------------------------------------------------------------ language


@pytest.mark.parametrize(
    ("browser", "chosen", "query", "language"),
    [
        ("", "", "", "en"),
        ("fr-CH, de;q=0.5", "", "", "fr"),
        ("it, de;q=0.5", "", "", "de"),
        ("fr", "de", "", "de"),
        ("", "de", "?lang=fr", "fr"),
        ("", "xx", "?lang=../..", "en"),
    ],
)
def test_the_language_is_the_visitors_choice(
    client: FlaskClient, browser: str, chosen: str, query: str, language: str
):
    client.set_cookie("language", chosen)
    page = client.get(f"/t/nowhere{query}", headers={"Accept-Language": browser}).text
    assert f'<html lang="{language}"' in page


def test_the_address_of_a_handler_written_for_a_mail_is_the_configured_one(app: Flask):
    with app.app_context():
        assert url_for("health.alive", _external=True) == "http://localhost/healthz"
