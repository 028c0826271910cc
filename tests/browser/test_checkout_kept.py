"""What a shopper typed stays: beside another box, without the cookie, and on another device."""

import re

import pytest

from tests.browser.people import ADDRESS, order_until_pay
from tests.browser.support import PHONE, Visitor

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("script", [True, False], ids=["script", "bare"])
def test_another_box_leaves_a_half_typed_address_alone(chromium, live, script):
    with Visitor(chromium, live, PHONE, script=script) as ada:
        ada.go("/checkout?plan=pot", "Your box")
        ada.choose("As usual")
        ada.press("Continue to delivery")
        ada.see("Delivery")
        ada.fill({"E-mail": ADDRESS["E-mail"], "Street": ADDRESS["Street"]})
        ada.press("Add another box")
        ada.see("Add another box")
        ada.page.go_back()
        ada.see("Delivery")
        ada.page.reload()
        ada.see("Delivery")
        assert ada.page.input_value("#email") == ADDRESS["E-mail"]
        assert ada.page.input_value("#street") == ADDRESS["Street"]


def test_a_lost_cookie_in_the_middle_loses_neither_box_nor_address(chromium, live):
    with Visitor(chromium, live, PHONE) as ada:
        order_until_pay(ada)
        ada.context.clear_cookies()
        ada.page.reload()
        ada.see("Review and pay")
        ada.says("Lindenweg 4")


def test_a_link_by_mail_goes_on_with_the_order_on_another_device(chromium, live):
    with Visitor(chromium, live, PHONE) as ada:
        order_until_pay(ada)
        ada.press("Send me a link to go on later")
        ada.says("A link is on its way")
    live.tick()
    (mail,) = live.mails_to(ADDRESS["E-mail"])
    found = re.search(r"http://[^/]+(/checkout/later/\S+)", mail)
    assert found
    with Visitor(chromium, live, PHONE, script=False) as ada:
        ada.go(found[1], "Welcome back, your box is still here.")
        ada.press("Go on with your order")
        ada.see("Review and pay")
        ada.says("Lindenweg 4")
