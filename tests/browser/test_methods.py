"""Stored methods in a browser: a phone and a desk, with and without the script."""

import pytest
import sqlalchemy as sa

from storefront.models import Customer
from storefront.testing import factories as make
from tests.browser.people import sign_in_as_owner, subscribe
from tests.browser.support import DESK, PHONE, Visitor
from tests.support.gateways import second_gateway

pytestmark = pytest.mark.browser

WAYS = [(PHONE, True), (DESK, True), (PHONE, False)]


def wallet_for_everybody(rt):
    """Give each customer a second method that pays for nothing yet."""
    for customer in rt.session.scalars(sa.select(Customer)).all():
        rt.session.expunge(customer)
        make.make_method(
            rt,
            customer,
            is_default=False,
            kind="paypal",
            brand="paypal",
            last4="",
            label="a…@example.org",
            exp_month=None,
            exp_year=None,
        )


@pytest.mark.parametrize(("size", "script"), WAYS, ids=["phone", "wide", "bare"])
def test_another_method_is_chosen_and_the_old_one_removed(chromium, live, size, script):
    with Visitor(chromium, live, size, script=script) as ada:
        subscribe(ada)
        live.do(wallet_for_everybody)
        ada.go("/account/payment", "Payment")
        ada.says("Visa ending 4242")

        ada.press("Make it the backup")
        ada.says("PayPal (a…@example.org) is tried when the other is refused.")
        ada.press("Use this")
        ada.says("PayPal (a…@example.org) pays from now on.")
        ada.press("Remove Visa ending 4242")
        ada.says("Visa ending 4242 is removed.")
        ada.press("Remove PayPal")
        ada.says("it is the only one that can pay")


@pytest.mark.parametrize(("size", "script"), WAYS, ids=["phone", "wide", "bare"])
def test_the_owner_closes_a_gateway_for_new_methods(chromium, live, size, script):
    with (
        second_gateway(live.app.extensions["storefront"]),
        Visitor(chromium, live, size, script=script) as owner,
    ):
        sign_in_as_owner(owner)
        owner.go("/admin/settings/gateways", "Ways to pay")
        owner.page.get_by_label("Takes new cards and accounts").first.uncheck()
        owner.press("Save")
        owner.says("Saved.")
        assert not owner.page.get_by_label("Takes new cards and accounts").last.is_checked()
