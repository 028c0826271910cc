"""The plugin class: settings and set-up. It has no page: labels are bought at Shippo."""

from __future__ import annotations

from dataclasses import dataclass, field

from storefront.hooks import PluginContext, PluginOff, PluginUnused, StorefrontPlugin
from storefront_shippo.provider import Shippo


@dataclass(frozen=True, slots=True)
class ShippoSettings:
    """Each is read from ``STOREFRONT_SHIPPO_<NAME>``, or from a file with ``_FILE``."""

    api_token: str = field(default="", repr=False)
    #: What we made up and wrote behind the webhook's address there: ``…?token=``.
    webhook_token: str = field(default="", repr=False)
    #: What Shippo signs messages with, if it was asked to; then the signature is checked.
    webhook_secret: str = field(default="", repr=False)
    api_url: str = "https://api.goshippo.com"


class ShippoPlugin(StorefrontPlugin):
    """Offers the shipping provider ``shippo``."""

    name = "shippo"
    api = 1
    settings = ShippoSettings

    def setup(self, ctx: PluginContext) -> None:
        own: ShippoSettings = ctx.settings
        if not own.api_token:
            why = PluginUnused if own == ShippoSettings() else PluginOff
            raise why("it has no account: STOREFRONT_SHIPPO_API_TOKEN is not set")
        ctx.add_shipping_provider(
            Shippo(
                ctx.http(own.api_url),
                token=own.api_token,
                now=ctx.now,
                webhook_token=own.webhook_token,
                webhook_secret=own.webhook_secret,
            )
        )


PLUGIN = ShippoPlugin
