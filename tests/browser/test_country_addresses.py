"""Another country in a real browser: its fields come at once, and what is typed stays."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from storefront.runtime import Runtime
from storefront.testing.factories import make_plan, make_shop
from storefront_demo_gateway.gateway import DemoGateway

if TYPE_CHECKING:
    from tests.support.databases import Database, Databases

SCROLLS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
def database(databases: "Databases", tmp_path: Path) -> "Database":
    """SQLite only: what a browser shows does not depend on the kind."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def site(app: Flask, rt: Runtime, demo_gateway: DemoGateway) -> Iterator[str]:
    make_shop(rt, countries=["DE", "US", "JP"])
    make_plan(rt, code="pot", name="Pot")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    app.config["SERVER_NAME"] = f"127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("script", [True, False], ids=["script", "bare"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_fields_of_another_country_keep_what_is_typed(
    chromium: Any, site: str, width: int, script: bool
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 740}, java_script_enabled=script, base_url=site
    )
    page = context.new_page()
    page.goto("/checkout?plan=pot")
    page.click("button:has-text('Continue to delivery')")
    page.wait_for_selector("#street")
    page.fill("#email", "ada@example.org")
    page.fill("#name", "Ada Lovelace")
    page.fill("#street", "1 Main St")
    page.fill("#postcode", "94110")
    assert page.locator("#region").count() == 0
    change = page.locator("button[name=turn]")
    assert change.is_visible() is not script

    page.focus("#country")
    page.select_option("#country", "US")
    if not script:
        change.click()
    page.wait_for_selector("select#region")

    assert page.input_value("#street") == "1 Main St"
    assert page.input_value("#postcode") == "94110"
    assert page.input_value("#email") == "ada@example.org"
    assert page.locator("label[for=postcode]").inner_text() == "ZIP code"
    assert page.locator(".error").count() == 0
    assert change.is_visible() is not script
    if script:
        assert page.evaluate("document.activeElement.id") == "country"
    assert not page.evaluate(SCROLLS)

    page.fill("#city", "San Francisco")
    page.select_option("#region", "CA")
    # Enter in a line presses the first button of the form; it goes on all the same.
    page.press("#city", "Enter")
    page.wait_for_selector("h1:has-text('Review and pay')")
    assert page.locator("text=1 Main St").count() == 1
    context.close()
