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
