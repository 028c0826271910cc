"""Which gateways a new payment method may be stored with, and in what order they are shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from storefront.domain.gateways import Gateway


def open_gateways(
    gateways: Mapping[str, Gateway], order: Sequence[str], currencies: Collection[str]
) -> list[str]:
    """Return the names of the gateways that take new methods, in the order to offer them.

    ``order`` is the merchant's choice and order; empty stands for all there are. A gateway that
    takes not all of ``currencies``, or whose charges cannot be looked up, is left out: what is
    stored there could not pay for a renewal. Methods that are stored already do not depend on
    this. Source: docs/decisions/0127-payment-methods.md.
    """
    names = [name for name in order if name in gateways] if order else list(gateways)
    return [name for name in names if _fits(gateways[name], currencies)]


def _fits(gateway: Gateway, currencies: Collection[str]) -> bool:
    takes = gateway.capabilities.currencies
    return gateway.capabilities.has_lookup and (not takes or set(currencies) <= takes)
