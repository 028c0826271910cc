"""The table of gateways in ``docs/payments.md`` says what they say of themselves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storefront.hooks import Capabilities
from storefront_authorize_net.gateway import AuthorizeNetGateway
from storefront_demo_gateway.gateway import DemoGateway
from storefront_paypal.gateway import PayPalGateway
from storefront_razorpay.gateway import RazorpayGateway
from storefront_stripe.gateway import capabilities as stripe_can

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
TEXT = (Path(__file__).parents[2] / "docs" / "payments.md").read_text(encoding="utf-8")


def _now() -> datetime:
    return NOW


def _can() -> dict[str, Capabilities]:
    http: Any = None
    razorpay = RazorpayGateway(
        http,
        account="acc_1",
        key_id="rzp_live_1",
        secret="s",
        webhook_secret="w",
        now=_now,
    )
    paypal = PayPalGateway(
        http, http, client="c", secret="s", webhook="w", now=_now, site_url="https://paypal.example"
    )
    anet = AuthorizeNetGateway(http, login="l", key="t", signature_key="ab" * 64, now=_now)
    return {
        "demo": DemoGateway.capabilities,
        "Stripe": stripe_can(True, ()),
        "PayPal": paypal.capabilities,
        "Razorpay": razorpay.capabilities,
        "Authorize.net": anet.capabilities,
    }


def _row(label: str) -> dict[str, str]:
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    names = next(line for line in lines if "| demo | Stripe |" in line)
    found = next(line for line in lines if line.startswith(f"| {label} |"))
    cells = [[part.strip() for part in line.strip("|").split("|")] for line in (names, found)]
    return dict(zip(cells[0][1:], cells[1][1:], strict=True))


def _time(seconds: int) -> str:
    if not seconds:
        return "-"
    if seconds % 3600 == 0:
        days, hours = divmod(seconds // 3600, 24)
        return f"{days} days" if days > 1 and not hours else f"{seconds // 3600} h"
    return f"{timedelta(seconds=seconds).seconds // 60} min"


def _settled(seconds: int) -> str:
    return _time(seconds) if seconds else "at once"


def _reach(seconds: int) -> str:
    return _time(seconds) if seconds else "always"


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("the same key surely gives the same answer for", lambda c: _time(c.key_window_seconds)),
        ('"nothing is there" is evidence after', lambda c: _settled(c.lookup_settle_seconds)),
        ("a look-up by our reference reaches back", lambda c: _reach(c.lookup_reach_seconds)),
        ("a debit has to be announced before", lambda c: _time(c.minimum_notice_seconds)),
        ("charges in flight at once", lambda c: str(c.max_in_flight)),
        ("our characters on the statement", lambda c: str(c.descriptor_length or "-")),
    ],
)
def test_the_table_says_what_each_gateway_says_of_itself(label: str, said: Any) -> None:
    assert _row(label) == {name: said(each) for name, each in _can().items()}
