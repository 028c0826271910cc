"""The storefront inside a shop that was there before: both go on as if alone."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import Client, TestResponse

from examples.flask_shop.boxes import add_boxes
from examples.flask_shop.shop import PASSWORD, create_shop
from storefront.extensions import db
from storefront.hooks import Identity, Layout, hookimpl
from storefront.models import Customer, HostIdentity
from storefront.mount import Mounted, MountError, Storefront, mount
from storefront.plugins import request_info, resolve_identity
from storefront.settings import Settings
from storefront.testing.factories import make_customer
from storefront.testing.gateway_orders import setup_order
from tests.support.shop import set_up_shop

if TYPE_CHECKING:
    from tests.support.databases import Database, Databases

ADA, NEO = "ada@crockery.example", "new@crockery.example"
PAGE = "/boxes/x/demo-gateway/pay/"


@pytest.fixture
def database(databases: "Databases", tmp_path: Path) -> "Database":
    """SQLite only: nothing here depends on the kind, and each test builds two applications."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Flask]:
    """The shop as it was."""
    shop = create_shop(f"sqlite:///{tmp_path / 'crockery.db'}", "the shop's own secret")
    yield shop
    with shop.app_context():
        shop.extensions["sqlalchemy"].engine.dispose()
    if isinstance(shop.wsgi_app, Mounted):
        close(shop.wsgi_app.storefront)


@pytest.fixture
def mounted(shop: Flask, settings: Settings) -> Flask:
    """The same shop with the storefront in it."""
    add_boxes(shop, settings)
    with storefront_of(shop).app_context():
        set_up_shop(db.engine)
    return shop


def close(ours: Flask) -> None:
    with ours.app_context():
        db.session.remove()
        db.engine.dispose()
    ours.extensions["storefront"].gateways["demo"].bank.close()


def storefront_of(shop: Flask) -> Flask:
    found: Any = shop.wsgi_app
    assert isinstance(found, Mounted)
    return found.storefront


def browser(shop: Flask) -> Client:
    return Client(shop)


def sign_in(client: Client, email: str = ADA) -> TestResponse:
    token = csrf_on(client.get("/sign-in"))
    fields = {"email": email, "password": PASSWORD, "csrf_token": token}
    return client.post("/sign-in", data=fields)


def csrf_on(page: TestResponse) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found
    return found.group(1)


def payment_page(shop: Flask) -> str:
    """Begin a set-up; return the path of its page, which is one of ours."""
    gateway = storefront_of(shop).extensions["storefront"].gateways["demo"]
    start = gateway.begin_setup(setup_order())
    return PAGE + start.redirect_url.rpartition("/")[2]


# ----------------------------------------------------------------------- the host stays as it was


@pytest.mark.parametrize("path", ["/", "/basket", "/sign-in", "/static/shop.css", "/boxesandmore"])
def test_the_hosts_own_pages_are_the_same_to_the_header(
    tmp_path: Path, mounted: Flask, path: str
) -> None:
    alone = create_shop(f"sqlite:///{tmp_path / 'crockery.db'}", "the shop's own secret")
    alone.config["MENU"] = mounted.config["MENU"]
    before, after = (browser(each).get(path, buffered=True) for each in (alone, mounted))
    assert after.status == before.status
    assert without_tokens(after.text) == without_tokens(before.text)
    assert headers_of(after) == headers_of(before)
    with alone.app_context():
        alone.extensions["sqlalchemy"].engine.dispose()


def headers_of(answer: TestResponse) -> list[tuple[str, str]]:
    moving = {"Date", "Set-Cookie", "Content-Length"}
    names = [(name, value) for name, value in answer.headers if name not in moving]
    cookies = [cookie.partition("=")[0] for cookie in answer.headers.getlist("Set-Cookie")]
    return [*names, ("cookies", " ".join(cookies))]


def without_tokens(page: str) -> str:
    return re.sub(r'(csrf_token" value=)"[^"]+"', r"\1", page)


def test_nothing_is_registered_on_the_host(shop: Flask, settings: Settings) -> None:
    def state() -> tuple[Any, ...]:
        functions = (shop.before_request_funcs, shop.after_request_funcs, shop.error_handler_spec)
        rules = [rule.rule for rule in shop.url_map.iter_rules()]
        return (
            sorted(shop.extensions),
            sorted(shop.blueprints),
            rules,
            [repr(each) for each in functions],
            shop.request_class,
            shop.login_manager,  # type: ignore[attr-defined]
            {name: repr(value) for name, value in shop.config.items() if name != "MENU"},
        )

    before = state()
    add_boxes(shop, settings)
    assert state() == before


def test_mounting_twice_changes_nothing(mounted: Flask, settings: Settings) -> None:
    once = mounted.wsgi_app
    Storefront(settings).init_app(mounted, "/boxes")
    assert mounted.wsgi_app is once
    assert mount(once, "/boxes/", settings) is once


def test_a_host_cookie_of_the_same_name_is_refused(shop: Flask, settings: Settings) -> None:
    with pytest.raises(MountError, match="change cookie_name"):
        Storefront(replace(settings, cookie_name="session")).init_app(shop)


@pytest.mark.parametrize("prefix", ["", "/", "boxes", "//boxes"])
def test_a_prefix_that_would_swallow_the_host_is_refused(
    shop: Flask, settings: Settings, prefix: str
) -> None:
    with pytest.raises(MountError, match="prefix"):
        Storefront(settings).init_app(shop, prefix)


# --------------------------------------------------------------------------- cookies and sessions


def test_both_sessions_survive_each_other(mounted: Flask) -> None:
    client = browser(mounted)
    sign_in(client)
    client.post("/basket", data={"item": "1", "csrf_token": csrf_on(client.get("/"))})
    path = payment_page(mounted)
    ours = csrf_on_last(client.get(path))
    assert client.post(path, data={"card": "4242", "csrf_token": ours}).status_code == 303
    assert "1 × Stoneware pot" in client.get("/basket").text
    assert "Ada Brew" in client.get("/").text


def csrf_on_last(page: TestResponse) -> str:
    """Our token; the host's own forms in the shell come before."""
    assert page.status_code == 200
    found: list[str] = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)
    return found[-1]


def test_our_cookie_goes_to_our_part_only(mounted: Flask) -> None:
    answer = browser(mounted).get(payment_page(mounted))
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("storefront_session=")
    assert "Path=/boxes/" in cookie


def test_the_address_without_a_slash_gets_one(mounted: Flask) -> None:
    answer = browser(mounted).get("/boxes?lang=de")
    assert (answer.status_code, answer.location) == (308, "/boxes/?lang=de")


def test_the_hosts_sign_out_in_our_page_works(mounted: Flask) -> None:
    client = browser(mounted)
    sign_in(client)
    token = csrf_on(client.get(payment_page(mounted)))
    assert client.post("/sign-out", data={"csrf_token": token}).status_code == 303
    assert "Ada Brew" not in client.get("/").text


# --------------------------------------------------------------------------------------- identity


def identity_in(shop: Flask, client: Client, path: str) -> Identity | None:
    """Visit ``path`` and return whom our application was told about."""
    ours, seen = storefront_of(shop), []

    def watch() -> None:
        from flask import request

        seen.append(resolve_identity(ours.extensions["storefront"], request_info(request.environ)))

    ours.before_request_funcs.setdefault(None, []).append(watch)
    client.get(path)
    (found,) = seen
    return found


@pytest.mark.parametrize(("email", "is_proven"), [(ADA, True), (NEO, False)])
def test_who_is_signed_in_at_the_host_is_known_to_us(
    mounted: Flask, email: str, is_proven: bool
) -> None:
    client = browser(mounted)
    sign_in(client, email)
    found = identity_in(mounted, client, payment_page(mounted))
    assert found is not None
    assert (found.email, found.email_verified) == (email, is_proven)


def test_nobody_signed_in_is_nobody(mounted: Flask) -> None:
    assert identity_in(mounted, browser(mounted), payment_page(mounted)) is None


def open_account(client: Client) -> TestResponse:
    """Open the account and do what the page's script does: send the one form of a first visit."""
    page = client.get("/boxes/account/", follow_redirects=True)
    if 'action="/boxes/sign-in/host"' not in page.text:
        return page
    fields = {"csrf_token": csrf_on_last(page), "next": "/boxes/account/"}
    return client.post("/boxes/sign-in/host", data=fields, follow_redirects=True)


def customers_in(shop: Flask) -> list[tuple[str, int]]:
    """Return (e-mail, how many host people are linked) of every customer."""
    with storefront_of(shop).app_context():
        links = sa.func.count(HostIdentity.host_ref)
        query = sa.select(Customer.email, links).outerjoin(HostIdentity).group_by(Customer.email)
        rows = [tuple(row) for row in db.session.execute(query)]
        db.session.rollback()
    return rows


def test_a_person_of_the_host_is_in_their_account_without_a_second_sign_in(mounted: Flask) -> None:
    client = browser(mounted)
    sign_in(client)
    page = open_account(client)
    assert (page.status_code, page.request.path) == (200, "/boxes/account/")
    assert "Corner Crockery" in page.text
    assert customers_in(mounted) == [(ADA, 1)]
    assert open_account(client).request.path == "/boxes/account/"
    assert customers_in(mounted) == [(ADA, 1)]


def test_looking_links_nobody(mounted: Flask) -> None:
    client = browser(mounted)
    sign_in(client)
    for path in ("/boxes/account/", "/boxes/sign-in?next=/boxes/account/invoices"):
        page = client.get(path, follow_redirects=True)
        assert "You are signed in as ada@crockery.example" in page.text
    assert 'name="next" value="/boxes/account/invoices"' in page.text
    assert 'hx-trigger="load, submit"' in page.text
    assert customers_in(mounted) == []


def test_a_first_visit_goes_on_where_it_wanted_to_and_nowhere_else(mounted: Flask) -> None:
    client = browser(mounted)
    sign_in(client)
    token = csrf_on_last(client.get("/boxes/sign-in"))
    refused = client.post("/boxes/sign-in/host", data={"csrf_token": "stolen"})
    assert refused.status_code == 400
    assert customers_in(mounted) == []
    fields = {"csrf_token": token, "next": "//evil.example"}
    assert client.post("/boxes/sign-in/host", data=fields).location == "/boxes/account/"
    again = client.get("/boxes/sign-in?next=/boxes/account/invoices")
    assert again.location == "/boxes/account/invoices"


def test_who_is_nobody_at_the_host_cannot_be_welcomed(mounted: Flask) -> None:
    client = browser(mounted)
    token = csrf_on_last(client.get("/boxes/sign-in"))
    answer = client.post("/boxes/sign-in/host", data={"csrf_token": token})
    assert (answer.status_code, answer.location) == (303, "/boxes/sign-in")
    assert customers_in(mounted) == []


def test_another_account_than_the_hosts_can_be_used(mounted: Flask) -> None:
    client = browser(mounted)
    sign_in(client)
    page = client.get("/boxes/sign-in?other=1")
    assert 'action="/boxes/sign-in/password"' in page.text


def test_who_leaves_the_host_has_left_our_account_too(mounted: Flask) -> None:
    client = browser(mounted)
    sign_in(client)
    open_account(client)
    client.post("/sign-out", data={"csrf_token": csrf_on(client.get("/"))})
    assert open_account(client).request.path == "/boxes/sign-in"


@pytest.mark.parametrize(("email", "links"), [(ADA, 1), (NEO, 0)])
def test_only_a_proven_e_mail_leads_into_an_account_that_is_there(
    mounted: Flask, email: str, links: int
) -> None:
    with storefront_of(mounted).app_context():
        make_customer(storefront_of(mounted).extensions["storefront"], email=email)
    client = browser(mounted)
    sign_in(client, email)
    page = open_account(client)
    assert customers_in(mounted) == [(email, links)]
    assert page.request.path == ("/boxes/account/" if links else "/boxes/sign-in")


def test_a_form_of_ours_is_not_eaten_by_the_host(mounted: Flask) -> None:
    client, path = browser(mounted), payment_page(mounted)
    sign_in(client)
    token = csrf_on_last(client.get(path))
    answer = client.post(path, data={"card": "none", "csrf_token": token})
    assert answer.status_code == 422
    assert "Choose one of the demo cards." in answer.text


# ------------------------------------------------------------------------------------------- look


def test_our_page_wears_the_hosts_shell(mounted: Flask) -> None:
    client = browser(mounted)
    sign_in(client)
    page = client.get(payment_page(mounted))
    assert page.text.count("<html") == page.text.count("<main") == 1
    assert "Ada Brew" in page.text
    assert "<title>Demo payment – " in page.text
    assert re.search(r'<div class="storefront [^>]*lang="en"', page.text)
    assert page.headers["Cache-Control"] == "private, no-store"
    assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"]


def test_our_styles_stay_in_our_part(mounted: Flask) -> None:
    client = browser(mounted)
    page = client.get(payment_page(mounted))
    assert not re.search(r"/boxes/assets/\w+/app\.css", page.text)
    (href,) = re.findall(r'href="(/boxes/shell/\w+\.css)"', page.text)
    styles = client.get(href)
    assert styles.mimetype == "text/css"
    rules = styles.text.partition("@scope (.storefront) {")[2]
    assert ".button" in rules
    assert not re.search(r"(?<![\w.#-])body(?![\w-])|:root", rules)


def test_every_address_in_our_page_is_below_the_prefix(mounted: Flask) -> None:
    page = browser(mounted).get(payment_page(mounted)).text
    ours = page.partition('<div class="storefront')[2]
    own = re.findall(r'(?:href|src|action)="(/[^"]*)"', ours)
    assert own
    assert [url for url in own if not url.startswith("/boxes/")] == []


def test_a_shell_that_breaks_leaves_us_our_own_frame(mounted: Flask) -> None:
    class Broken:
        @hookimpl
        def layout(self) -> Layout:
            raise RuntimeError("template gone")

    hooks = storefront_of(mounted).extensions["storefront"].hooks
    hooks.fail("host-0", RuntimeError("switched off"))
    hooks.register(Broken(), name="broken")
    page = browser(mounted).get(payment_page(mounted))
    assert page.status_code == 200
    assert "Corner Crockery" not in page.text
    assert '<main id="main"' in page.text


# -------------------------------------------------------------------------------- any WSGI host


def test_any_wsgi_application_can_be_the_host(settings: Settings) -> None:
    def host(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"host at {environ['PATH_INFO']}".encode()]

    class Cookies:
        @hookimpl
        def identify_customer(self, info: Any) -> Identity | None:
            with info.in_host():
                ref = info.cookies.get("member", "")
                return Identity(ref, f"{ref}@example.org") if ref else None

    both = mount(host, "/boxes", settings, plugins=[Cookies()])
    client = Client(both)
    assert client.get("/elsewhere").text == "host at /elsewhere"
    environ = {"PATH_INFO": "/", "HTTP_COOKIE": "member=7"}
    found = resolve_identity(both.storefront.extensions["storefront"], request_info(environ))
    assert found is not None
    assert (found.ref, found.email_verified) == ("7", False)
    close(both.storefront)
