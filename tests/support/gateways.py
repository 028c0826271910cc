"""A second gateway beside the demo one, with a bank, an account and books of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from storefront.models import ShopSettings
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.gateway import DemoGateway


@contextmanager
def second_gateway(rt: Runtime, name: str = "wallets", **abilities: Any) -> Iterator[DemoGateway]:
    """Offer another gateway; ``abilities`` are its capabilities, PayPal in any currency if none."""
    bank = Bank(now=rt.now)
    gateway = DemoGateway(bank, now=rt.now, account=f"acct_{name}")
    gateway.name = name
    gateway.capabilities = replace(gateway.capabilities, **({"kinds": ("paypal",)} | abilities))
    rt.hooks.add_gateway(name, gateway)
    yield gateway
    bank.close()


def offer(rt: Runtime, *names: str) -> None:
    """Let new methods be stored with these gateways only, in this order."""
    rt.session.execute(table_of(ShopSettings).update().values(sign_up_gateways=list(names)))
    rt.session.commit()
    rt.forget_shop()
