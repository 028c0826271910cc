"""``<storefront-plans>`` on a page of another origin, in a browser."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import WSGIRequestHandler, make_server

from storefront.operations.audit import Who
from storefront.services.shop import save_settings
from tests.browser.support import PATIENCE, LiveShop

pytestmark = pytest.mark.browser


class _Quiet(WSGIRequestHandler):
    def log(self, *_line: Any) -> None:
        """Say nothing for each request."""


@pytest.fixture
def site(live: LiveShop) -> Iterator[str]:
    """A page of another origin with the element in it; its own rules allow no inline style."""
    body = (
        f'<!doctype html><html lang="en"><title>Blog</title><h1>Our tea</h1>'
        f'<script async src="{live.address}/embed/v1.js"></script>'
        f'<storefront-plans interval="3m"><a href="{live.address}/">Plans and prices</a>'
        "</storefront-plans><p>The end</p>"
    ).encode()

    def answer(_environ: Any, start_response: Any) -> list[bytes]:
        rules = f"default-src 'none'; script-src {live.address}; frame-src {live.address}"
        start_response(
            "200 OK", [("Content-Type", "text/html"), ("Content-Security-Policy", rules)]
        )
        return [body]

    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1000, "height": 700})
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def allow(live: LiveShop, *sites: str) -> None:
    # The owner, who was made first.
    live.do(lambda rt: save_settings(rt, Who(1, "127.0.0.1"), {"embed_origins": list(sites)}))


def height(page: Page) -> float:
    box = page.locator("storefront-plans iframe").bounding_box()
    assert box is not None
    return box["height"]


def test_an_allowed_site_shows_the_plans_as_high_as_they_are(
    live: LiveShop, page: Page, site: str
) -> None:
    allow(live, site)
    page.goto(site)
    frame = page.frame_locator("storefront-plans iframe")
    expect(frame.locator("article").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("link", name="Plans and prices")).to_be_hidden(timeout=PATIENCE)
    inside = frame.locator("#embedded").bounding_box()
    assert inside is not None
    assert abs(height(page) - inside["height"]) <= 1
    wide = height(page)
    page.set_viewport_size({"width": 400, "height": 700})
    page.wait_for_function(
        "was => document.querySelector('storefront-plans').offsetHeight > was + 100", arg=wide
    )
    frame.locator("article a.button").first.click()
    page.wait_for_url(lambda url: url.startswith(f"{live.address}/checkout?"))
    assert "ref=localhost" in page.url


def test_elsewhere_the_plain_link_stays(live: LiveShop, page: Page, site: str) -> None:
    allow(live, "https://tea.example")
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(site)
    page.wait_for_timeout(1500)
    expect(page.get_by_role("link", name="Plans and prices")).to_be_visible()
    assert height(page) == 0
    assert any("frame-ancestors" in text for text in refused)
    page.get_by_role("link", name="Plans and prices").click()
    page.wait_for_url(f"{live.address}/")


def test_a_message_of_anybody_else_changes_nothing(live: LiveShop, page: Page, site: str) -> None:
    allow(live, "https://tea.example")
    page.goto(site)
    page.wait_for_selector("storefront-plans iframe", state="attached")
    page.evaluate("postMessage({ storefront: 'plans', height: 900, title: 'x' }, '*')")
    page.wait_for_timeout(300)
    expect(page.get_by_role("link", name="Plans and prices")).to_be_visible()
    assert height(page) == 0


def test_without_scripts_the_plain_link_is_there(
    live: LiveShop, chromium: Browser, site: str
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site)
    expect(page.get_by_role("link", name="Plans and prices")).to_be_visible()
    context.close()
