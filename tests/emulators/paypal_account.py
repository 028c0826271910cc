"""The PayPal gateway with its emulator behind it, on a clock that stands still."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

from storefront.adapters.http import ServiceHttp
from storefront.hooks import ChargeOrder
from storefront.testing.clock import FrozenClock
from storefront.testing.gateway_orders import order
from storefront_paypal.gateway import PayPalGateway
from storefront_paypal.webhooks import Certificates
from tests.emulators.paypal import CLIENT, GOOD, SECRET, WEBHOOK, PayPal
from tests.emulators.serving import served

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)


class Account:
    """One business account: ``far`` is PayPal, ``gateway`` is ours."""

    def __init__(self, address: str, far: PayPal) -> None:
        self.address, self.far, self.clock = address, far, FrozenClock(NOW)
        far.now = self.clock.now
        self.http = ServiceHttp(address)
        self.gateway = self.another()

    def another(self, secret: str = SECRET) -> PayPalGateway:
        """Return the gateway of another process: it remembers nothing."""
        return PayPalGateway(
            self.http,
            Certificates(self.http, "https://api.paypal.com"),
            client=CLIENT,
            secret=secret,
            webhook=WEBHOOK,
            now=self.clock.now,
        )

    def order(self, payer: str = GOOD, minor: int = 2340, **over: object) -> ChargeOrder:
        return order(self.far.store(payer), minor, **over)

    def present(self, payer: str) -> ChargeOrder:
        return self.order(payer, on_session=True, return_url="http://shop.test/back")


@contextlib.contextmanager
def opened(far: PayPal) -> Iterator[Account]:
    """Serve ``far`` and yield the account over it."""
    with served(far.app) as address:
        account = Account(address, far)
        yield account
        account.http.close()
