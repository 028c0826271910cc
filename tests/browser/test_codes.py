"""A code at the checkout in a real browser: what is typed beside it stays, also without script."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from storefront.runtime import Runtime
from storefront.testing.factories import make_code, make_plan
from storefront_demo_gateway.gateway import DemoGateway

if TYPE_CHECKING:
    from tests.support.databases import Database, Databases


@pytest.fixture
def database(databases: "Databases", tmp_path: Path) -> "Database":
    """SQLite only: what a browser shows does not depend on the kind."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def site(app: Flask, rt: Runtime, demo_gateway: DemoGateway) -> Iterator[str]:
    make_plan(rt, code="pot", name="Pot")
    make_code(rt, "LEMON")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    app.config["SERVER_NAME"] = f"127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("script", [True, False], ids=["script", "bare"])
def test_a_code_leaves_the_address_as_it_was_typed(chromium: Any, site: str, script: bool) -> None:
    context = chromium.new_context(
        viewport={"width": 360, "height": 740}, java_script_enabled=script, base_url=site
    )
    page = context.new_page()
    page.goto("/checkout?plan=pot")
    page.click("button:has-text('Continue to delivery')")
    page.wait_for_selector("#street")
    page.fill("#street", "Lindenweg 4")
    code = page.locator("input[name=code]:visible")
    page.click("summary:has-text('I have a code')")
    assert code.count() == 1

    page.click("button:has-text('Use code'):visible")
    page.wait_for_selector(".error:has-text('Enter a code'):visible")
    assert page.input_value("#street") == "Lindenweg 4"
    code.fill("LEMON")
    code.press("Enter")
    page.wait_for_selector("#summary:has-text('€23.40')")
    assert page.input_value("#street") == "Lindenweg 4"

    page.click("button:has-text('Remove code'):visible")
    page.wait_for_selector("#summary:has-text('I have a code')")
    assert page.input_value("#street") == "Lindenweg 4"
    context.close()


ADDRESS = {
    "email": "ada@example.org",
    "name": "Ada Weber",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
}


def to_the_last_step(page: Any) -> None:
    page.goto("/checkout?plan=pot")
    page.click("button:has-text('Continue to delivery')")
    page.wait_for_selector("#street")
    for name, text in ADDRESS.items():
        page.fill(f"#{name}", text)
    page.click("button:has-text('Continue to payment')")
    page.wait_for_selector("#consent")


@pytest.mark.parametrize("script", [True, False], ids=["script", "bare"])
def test_a_code_that_is_typed_is_tried_before_anything_is_ordered(
    chromium: Any, site: str, script: bool
) -> None:
    context = chromium.new_context(java_script_enabled=script, base_url=site)
    page = context.new_page()
    to_the_last_step(page)
    for typed, shown in (("NOSUCH", ".error:visible"), ("LEMON", "#summary:has-text('€23.40')")):
        page.check("#consent")
        if not page.locator("input[name=code]:visible").count():
            page.click("summary:has-text('I have a code')")
        page.locator("input[name=code]:visible").fill(typed)
        # Not "Use code": the button that everybody presses next.
        page.click("#pay-form button.filled")
        page.wait_for_selector(shown)
        assert "/pay" in page.url or "/code" in page.url
    # Another sum is another consent.
    page.wait_for_selector("#pay-form:has-text('€23.40')")
    assert not page.is_checked("#consent")
    page.check("#consent")
    page.click("#pay-form button.filled")
    page.wait_for_url("**/x/demo-gateway/**")
    context.close()


def test_an_order_changed_in_another_tab_is_shown_whole_and_agreed_to_anew(
    chromium: Any, site: str
) -> None:
    context = chromium.new_context(base_url=site)
    one = context.new_page()
    to_the_last_step(one)
    one.check("#consent")
    other = context.new_page()
    other.goto(one.url)
    other.click("summary:has-text('I have a code')")
    other.locator("input[name=code]:visible").fill("LEMON")
    other.locator("input[name=code]:visible").press("Enter")
    other.wait_for_selector("#summary:has-text('€23.40')")

    one.click("#pay-form button.filled")
    one.wait_for_selector(".error-summary:has-text('The total changed from €26.00 to €23.40')")
    one.wait_for_selector("#summary:has-text('€23.40')")
    assert not one.is_checked("#consent")
    context.close()
