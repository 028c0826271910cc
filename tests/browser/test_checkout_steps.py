"""The steps of the checkout on a phone: back, forward, read again, and a browser that forgot."""

import pytest

from tests.browser.people import ADDRESS, order, order_until_pay, pay
from tests.browser.support import PHONE, Visitor

pytestmark = pytest.mark.browser


def test_back_from_the_last_step_and_forward_again_keeps_everything(chromium, live):
    with Visitor(chromium, live, PHONE) as ada:
        order_until_pay(ada)
        last = ada.page.url
        ada.page.go_back()
        ada.see("Delivery")
        assert ada.page.locator("#street").input_value() == "Lindenweg 4"
        ada.page.go_back()
        ada.see("Your box")
        ada.page.go_forward()
        ada.see("Delivery")
        assert ada.page.locator("#city").input_value() == "Jena"
        ada.page.go_forward()
        assert "Lindenweg 4" in ada.see("Review and pay")
        assert ada.page.url == last
        order(ada)
        pay(ada)
        ada.see("Thank you, Ada")
    assert (live.subscriptions(), live.bank.executed_count()) == (1, 1)


def test_each_step_can_be_read_again(chromium, live):
    with Visitor(chromium, live, PHONE) as ada:
        ada.go("/checkout?plan=pot", "Your box")
        ada.page.reload()
        ada.see("Your box")
        ada.choose("As usual")
        ada.press("Continue to delivery")
        ada.see("Delivery")
        ada.page.reload()
        ada.see("Delivery")
        ada.fill(ADDRESS)
        ada.press("Continue to payment")
        ada.see("Review and pay")
        ada.page.reload()
        assert "Lindenweg 4" in ada.see("Review and pay")
        order(ada)
        ada.page.reload()
        ada.see("asks for")
        pay(ada)
        ada.see("Thank you, Ada")
    assert (live.subscriptions(), live.bank.executed_count()) == (1, 1)


@pytest.mark.parametrize("script", [True, False])
def test_a_browser_that_lost_its_cookies_is_told_and_goes_on(chromium, live, script):
    with Visitor(chromium, live, PHONE, script=script) as ada:
        order_until_pay(ada)
        ada.context.clear_cookies()
        ada.guard.expect("422")
        ada.choose("I agree that")
        ada.press("Order with obligation to pay")
        ada.says("Nothing was ordered. Please agree once more.")
        assert "Lindenweg 4" in ada.see("Review and pay")
        assert live.subscriptions() == 0
        order(ada)
        pay(ada)
        ada.see("Thank you, Ada")
    assert (live.subscriptions(), live.bank.executed_count()) == (1, 1)
