"""axe-core finds nothing on any page that a link leads to, in light and in dark."""

import pytest

from tests.browser._demo import seed
from tests.browser.axe import axe_findings
from tests.browser.crawl import endpoints
from tests.browser.people import sign_in_as_owner, subscribe
from tests.browser.support import DESK, PHONE, LiveShop, Visitor
from tests.support.availability import is_long

pytestmark = pytest.mark.browser


def look(live: LiveShop, visitor: Visitor, start: str) -> tuple[int, dict[str, list[str]]]:
    """Return how many kinds of pages there were, and what axe found on which."""
    seen, found = 0, {}
    for kind, _html in endpoints(live, start, visitor):
        seen += 1
        if faults := axe_findings(visitor.page):
            found[kind] = faults
    return seen, found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_shop_and_in_the_account(chromium, live, scheme):
    with Visitor(chromium, live, PHONE, color_scheme=scheme) as ada:
        seen, found = look(live, ada, "/")
        assert found == {}
        assert seen >= 4, "the crawl misses pages of the shop"
        subscribe(ada)
        assert axe_findings(ada.page) == []
        ada.go_home()
        seen, found = look(live, ada, "/account/")
        assert found == {}
        assert seen > 10, "the crawl misses pages of the account"


def test_axe_finds_nothing_where_a_form_is_refused(chromium, live):
    with Visitor(chromium, live, PHONE) as ada:
        ada.go("/checkout?plan=pot", "Your box")
        ada.choose("As usual")
        ada.press("Continue to delivery")
        ada.see("Delivery")
        ada.press("Continue to payment")
        ada.page.locator(".field .error").first.wait_for()
        assert axe_findings(ada.page) == []
        ada.go("/account/", "Sign in")
        ada.fill({"E-mail": "not an address"})
        ada.press("Send me a code")
        ada.page.locator(".field .error").first.wait_for()
        assert axe_findings(ada.page) == []


# What differs in the dark are colours alone, and tests/unit/test_contrast.py knows them all.
@pytest.mark.parametrize("scheme", ["light", "dark"] if is_long() else ["light"])
def test_axe_finds_nothing_at_the_desk(chromium, live, clock, scheme):
    with Visitor(chromium, live) as ada:
        subscribe(ada)
    clock.advance(days=14)
    live.tick()
    with Visitor(chromium, live, DESK, color_scheme=scheme) as greta:
        sign_in_as_owner(greta)
        seen, found = look(live, greta, "/admin/")
        assert found == {}
        assert seen > 60, "the crawl misses pages of the desk"


def test_axe_finds_nothing_beside_the_bar_of_a_demo_shop(chromium, tmp_path):
    seed(tmp_path / "instance", 2)
    with LiveShop(tmp_path, environment="demo") as shop, Visitor(chromium, shop, PHONE) as ada:
        for path, heading in (("/", ""), ("/sign-in", "Sign in")):
            ada.go(path, heading)
            ada.page.get_by_role("complementary", name="About this shop").wait_for()
            assert axe_findings(ada.page) == []
