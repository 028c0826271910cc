"""The page with Stripe's fields in a real browser; Stripe's script is played."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Route

from storefront.hooks import Money
from storefront.testing.clock import FrozenClock
from storefront.testing.gateway_orders import setup_order
from tests.browser.support import DESK, PHONE, LiveShop, Visitor
from tests.emulators.stripe import ACCOUNT, SECRET_KEY, StripeEmulator, running

pytestmark = pytest.mark.browser
SCRIPT = Path(__file__).with_name("stripe_script.js")
ELSEWHERE = "asked elsewhere: https://js.stripe.com/endive/stripe.js"


@pytest.fixture
def stripe(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeEmulator]:
    with running(clock.now) as emulator:
        values = {
            "SECRET_KEY": SECRET_KEY,
            "PUBLISHABLE_KEY": "pk_test_kettles",
            "ACCOUNT": ACCOUNT,
            "URL": emulator.address,
        }
        for name, value in values.items():
            monkeypatch.setenv(f"STOREFRONT_STRIPE_{name}", value)
        yield emulator


@pytest.fixture
def page(stripe: StripeEmulator, request: pytest.FixtureRequest) -> tuple[LiveShop, str]:
    """The shop, and the page of a set-up begun there."""
    live: LiveShop = request.getfixturevalue("live")
    gateway = live.app.extensions["storefront"].gateways["stripe"]
    asked = setup_order(Money(2600, "EUR"))
    back = f"{live.address}/"
    start = gateway.begin_setup(
        type(asked)(asked.reference, back, back, asked.amount, "Nine Kettles", "1007")
    )
    assert start.redirect_url
    return live, start.redirect_url


def play(route: Route) -> None:
    route.fulfill(body=SCRIPT.read_text("utf-8"), content_type="text/javascript")


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_a_decline_is_said_beside_the_field_and_the_next_card_leads_back(
    chromium, page: tuple[LiveShop, str], size: tuple[int, int]
):
    live, url = page
    with Visitor(chromium, live, size) as ada:
        ada.context.route("https://js.stripe.com/**", play)
        ada.go(url, "Your card")
        ada.says("Once you are back, Nine Kettles charges €26.00.")

        number = ada.page.get_by_label("Card number")
        number.focus()
        ada.page.keyboard.type("4000 0000 0000 0002")
        ada.page.keyboard.press("Enter")
        ada.says("Your card was declined.")
        error = ada.page.locator("#stripe-error")
        assert error.evaluate("each => each === document.activeElement")
        ada.see("Your card")

        number.fill("4242 4242 4242 4244")
        assert error.is_hidden()
        number.focus()
        ada.page.keyboard.press("Tab")
        assert ada.page.evaluate("document.activeElement.id") == "stripe-submit"
        ada.page.keyboard.press("Enter")
        ada.page.wait_for_url(f"{live.address}/?**")

        assert "key=pk_test_kettles" in ada.page.url
        assert "clientSecret=seti_" in ada.page.url
        assert "locale=en" in ada.page.url
        ada.guard.problems = [each for each in ada.guard.problems if each != ELSEWHERE]


def test_without_stripes_script_the_page_says_so_and_shows_the_other_way(
    chromium, page: tuple[LiveShop, str]
):
    live, url = page
    with Visitor(chromium, live, PHONE) as ada:
        ada.context.route("https://js.stripe.com/**", lambda route: route.abort())
        ada.go(url, "Your card")

        ada.says("Stripe does not answer, and nothing was charged.")
        assert ada.button("Use Stripe’s own page instead").is_visible()
        assert not ada.page.get_by_role("button", name="Store this card").is_visible()
        ada.guard.problems = [each for each in ada.guard.problems if "js.stripe.com" not in each]
        ada.guard.problems = [each for each in ada.guard.problems if "ERR_FAILED" not in each]


def test_without_javascript_there_is_stripes_own_page(chromium, page: tuple[LiveShop, str]):
    live, url = page
    with Visitor(chromium, live, DESK, script=False) as ada:
        ada.context.route("https://checkout.stripe.com/**", lambda route: route.fulfill(body="Pay"))
        ada.go(url, "Your card")
        ada.says("If no fields appear here, or without JavaScript")
        assert not ada.page.locator("#stripe-form").is_visible()

        ada.press("Use Stripe’s own page instead")

        ada.page.wait_for_url("https://checkout.stripe.com/**")
        ada.guard.problems = []
