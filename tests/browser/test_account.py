"""Signing in, skipping and leaving in a real browser: narrow and wide, with and without script."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.serving import make_server

from storefront.models import OutboxMessage, Subscription
from storefront.operations.secrets import one_time
from storefront.runtime import Runtime
from storefront.testing.factories import (
    make_customer,
    make_plan,
    make_recipe,
    make_subscription,
    make_variant,
)

if TYPE_CHECKING:
    from tests.support.databases import Database, Databases

ADA = "ada@example.org"
#: As much as a box of the demo shop holds.
CONTENTS = ("Iron Oolong", "Roasted Kukicha", "Little Pu-erh", "Whole Chamomile", "Almond Cantucci")
#: Pixels of the first look at a phone, without the line that says that a shop is a demo.
FIRST_LOOK = 640 - 52


@pytest.fixture
def database(databases: "Databases", tmp_path: Path) -> "Database":
    """SQLite only: what a browser shows does not depend on the kind."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    plan = make_plan(rt)
    make_recipe(rt, plan, variants=[make_variant(rt, name=name) for name in CONTENTS])
    return make_subscription(rt, plan=plan, customer=make_customer(rt, email=ADA))


@pytest.fixture
def site(app: Flask, sub: Subscription) -> Iterator[str]:
    """The address of a server with Ada's subscription."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    app.config["SERVER_NAME"] = f"127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=[(360, True), (1280, True), (360, False)], ids=["phone", "wide", "bare"])
def page(request: pytest.FixtureRequest, chromium: Any, site: str) -> Iterator[Any]:
    """A page; the console must stay silent and no other host be asked."""
    width, has_script = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": 740},
        java_script_enabled=has_script,
        base_url=site,
        locale="en-GB",
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: None if r.url.startswith(site) else problems.append(r.url))
    yield page
    context.close()
    assert problems == []


def sign_in(rt: Runtime, page: Any) -> None:
    """Sign in with the code of the mail, from the page that was asked for."""
    page.goto("/account/")
    page.fill("#email", ADA)
    page.click("button:has-text('Send me a code')")
    page.wait_for_selector("#code")
    payload = rt.session.scalars(
        sa.select(OutboxMessage.payload).where(OutboxMessage.topic == "sign_in")
    ).one()
    rt.session.rollback()
    page.fill("#code", one_time(rt.settings.secret_key, payload["nonce"]).code)
    page.click("form:has(#code) button")
    page.wait_for_selector("#account-home")


def fits(page: Any) -> bool:
    """True when nothing is wider than the screen."""
    width = page.viewport_size["width"]
    return all(
        box is None or box["x"] + box["width"] <= width + 1
        for box in (one.bounding_box() for one in page.locator("main *").all()[:200])
    )


def test_a_box_is_skipped_and_taken_back_without_leaving_the_page(
    rt: Runtime, page: Any, sub: Subscription
) -> None:
    sign_in(rt, page)
    assert page.url.endswith("/account/")
    assert page.locator("h2:has-text('Box of March')").is_visible()
    skip = page.locator("button:has-text('Skip this box')")
    assert skip.bounding_box()["y"] + skip.bounding_box()["height"] <= FIRST_LOOK
    assert fits(page)
    skip.click()
    page.wait_for_selector(".next-box:has-text('Your paid box moves to Mon 19 April.')")
    assert page.url.endswith("/account/")
    page.locator("button:has-text('Undo')").first.click()
    page.wait_for_selector("button:has-text('Skip this box')")


def test_the_rows_of_a_box_begin_at_one_line_also_beside_a_link(
    rt: Runtime, page: Any, sub: Subscription
) -> None:
    sign_in(rt, page)
    rows = page.locator(".next-box .datalist > div")
    assert rows.filter(has=page.locator(".datalist-extra")).count() == 1
    starts = {round(dd.bounding_box()["x"]) for dd in rows.locator("dt + dd").all()}
    assert len(starts) == 1
    assert fits(page)


def test_the_focus_stays_and_the_answer_is_said_once(
    rt: Runtime, page: Any, sub: Subscription, request: pytest.FixtureRequest
) -> None:
    if "bare" in request.node.name:
        pytest.skip("without the script a new page begins at its top")
    sign_in(rt, page)
    skip = page.locator("button:has-text('Skip this box')")
    identifier = skip.get_attribute("id")
    skip.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("button:has-text('Undo')")
    page.wait_for_selector("#status .toast")
    assert page.evaluate("document.activeElement.id") == identifier
    assert page.locator("#status .toast").count() == 1


def test_leaving_takes_two_clicks_and_one_takes_it_back(
    rt: Runtime, page: Any, sub: Subscription
) -> None:
    sign_in(rt, page)
    page.goto(f"/account/subscriptions/{sub.public_id}")
    page.click("a:has-text('Cancel subscription')")
    confirm = page.locator("main button:has-text('Cancel subscription')")
    assert confirm.bounding_box()["y"] + confirm.bounding_box()["height"] <= 640
    confirm.click()
    page.wait_for_selector("h1:has-text('Cancelled. You will not be charged again.')")
    assert page.title().startswith("Cancelled")
    assert fits(page)
    page.click("button:has-text('Undo')")
    page.wait_for_selector("a:has-text('Cancel subscription')")


def test_every_page_of_the_account_fits_and_has_one_heading(
    rt: Runtime, page: Any, sub: Subscription
) -> None:
    sign_in(rt, page)
    own = f"/account/subscriptions/{sub.public_id}"
    pages = ["payment", "invoices", "addresses", "security", "privacy"]
    for path in [own, f"{own}/address", f"{own}/cancel", *(f"/account/{one}" for one in pages)]:
        page.goto(path)
        assert page.locator("h1").count() == 1, path
        assert fits(page), path
    page.goto("/account/invoices")
    page.locator("main table a").first.click()
    page.wait_for_selector("h1:has-text('Invoice')")
    assert fits(page)
