"""No secret of a gateway's plugin stands in a log or an error that shows its settings."""

from dataclasses import fields
from typing import Any

import pytest

from storefront_authorize_net.plugin import AuthorizeNetSettings
from storefront_paypal.plugin import PayPalSettings
from storefront_razorpay.plugin import RazorpaySettings
from storefront_stripe.plugin import StripeSettings


@pytest.mark.parametrize(
    "settings", [AuthorizeNetSettings, PayPalSettings, RazorpaySettings, StripeSettings]
)
def test_settings_do_not_show_their_secrets(settings: type[Any]) -> None:
    words = ("secret", "transaction_key", "signature_key")
    secret = {
        each.name: f"hush-{each.name}"
        for each in fields(settings)
        if any(map(each.name.count, words))
    }
    assert secret
    assert "hush" not in repr(settings(**secret))
