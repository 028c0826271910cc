"""The plugin class: settings and set-up. It has no page: PayPal's own is used."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit

from storefront.hooks import PluginContext, PluginOff, PluginUnused, StorefrontPlugin
from storefront_paypal.gateway import PayPalGateway
from storefront_paypal.webhooks import Certificates

_NEEDED = ("client_id", "client_secret", "webhook_id")

#: Where no real money moves.
_SANDBOX = "api-m.sandbox.paypal.com"


@dataclass(frozen=True, slots=True)
class PayPalSettings:
    """Each is read from ``STOREFRONT_PAYPAL_<NAME>``, or from a file with ``_FILE``."""

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    #: PayPal's id of the webhook; without it nobody could tell a forged message.
    webhook_id: str = ""
    api_url: str = "https://api-m.paypal.com"
    #: Where the certificates are that messages are signed with.
    certificates_url: str = "https://api.paypal.com"
    #: Where customers approve.
    site_url: str = "https://www.paypal.com"


class PayPalPlugin(StorefrontPlugin):
    """Offers the gateway ``paypal``."""

    name = "paypal"
    api = 1
    settings = PayPalSettings

    def setup(self, ctx: PluginContext) -> None:
        own: PayPalSettings = ctx.settings
        missing = [
            f"STOREFRONT_PAYPAL_{each.name.upper()}"
            for each in fields(own)
            if each.name in _NEEDED and not getattr(own, each.name)
        ]
        if missing:
            why = PluginUnused if own == PayPalSettings() else PluginOff
            raise why(f"it has no account: {', '.join(missing)} is not set")
        gateway = PayPalGateway(
            ctx.http(own.api_url),
            Certificates(ctx.http(own.certificates_url), own.certificates_url),
            client=own.client_id,
            secret=own.client_secret,
            webhook=own.webhook_id,
            now=ctx.now,
            is_live=urlsplit(own.api_url).hostname != _SANDBOX,
            site_url=own.site_url,
        )
        ctx.add_gateway(gateway)


PLUGIN = PayPalPlugin
