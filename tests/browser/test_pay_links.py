"""Paying by the link of a mail in a browser: a phone and a desk, with and without the script."""

import re

import pytest

from tests.browser.people import ADA, order, order_until_pay, pay
from tests.browser.support import DESK, PHONE, Visitor

pytestmark = pytest.mark.browser

WAYS = [(PHONE, True), (DESK, True), (PHONE, False)]


def link_after_renewal(chromium, live, clock, card):
    """Let Ada subscribe with ``card``, renew, and return the path of the newest mail's link."""
    with Visitor(chromium, live) as ada:
        order_until_pay(ada)
        order(ada)
        pay(ada, card)
        if card == "3220":
            ada.page.get_by_role("button", name=re.compile("It is me|Confirm|Yes")).first.click()
        ada.see("Thank you, Ada")
    clock.advance(days=41)
    live.tick()
    live.tick()
    found = [re.search(r"/pay/\S+", mail) for mail in live.mails_to(ADA)]
    links = [one[0].rstrip('"<>') for one in found if one]
    assert links
    return links[-1]


@pytest.mark.parametrize(("size", "script"), WAYS, ids=["phone", "wide", "bare"])
def test_a_stranger_to_the_session_pays_with_another_card(chromium, live, clock, size, script):
    path = link_after_renewal(chromium, live, clock, "0341")
    with Visitor(chromium, live, size, script=script) as ada:
        ada.go(path, "Pay €")
        ada.says("ending 0341")
        ada.press("Use another card")
        ada.choose("Demo card ending 4242")
        ada.press("Save this card")
        if not script:
            ada.see("Pay with your new card")
            ada.press("Go on with this card")
        ada.see("This is paid")
        ada.page.reload()
        ada.see("This is paid")
    assert live.bank.executed_count() == 2
    assert live.bank.double_charges() == []


#: What a second click is answered: the first is done, or not yet.
ANSWERS = ("This is paid", "Your payment is on its way")


@pytest.mark.parametrize(("size", "script"), WAYS, ids=["phone", "wide", "bare"])
def test_a_double_click_on_the_known_card_pays_once(chromium, live, clock, size, script):
    path = link_after_renewal(chromium, live, clock, "0341")
    with Visitor(chromium, live, size, script=script) as ada:
        ada.go(path, "Pay €")
        ada.button("Pay €").dblclick(no_wait_after=True)
        paid, asked = (ada.page.locator("h1").filter(has_text=words) for words in ANSWERS)
        paid.or_(asked).wait_for(state="attached")
        while asked.count():
            # The second click was answered while the first one's charge was on its way.
            ada.button("Check again").click()
            paid.or_(asked).wait_for(state="attached")
        ada.see("This is paid")
    assert live.bank.executed_count() == 2
    assert live.bank.double_charges() == []
