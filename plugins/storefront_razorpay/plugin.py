"""The plugin class: settings, set-up, page."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from flask import Blueprint, has_request_context, url_for

from storefront.hooks import PluginContext, PluginOff, PluginUnused, StorefrontPlugin, hookimpl
from storefront_razorpay.gateway import RazorpayGateway
from storefront_razorpay.keys import PageKeys
from storefront_razorpay.pages import make_blueprint

_NEEDED = ("account", "key_id", "key_secret", "webhook_secret")


@dataclass(frozen=True, slots=True)
class RazorpaySettings:
    """Each is read from ``STOREFRONT_RAZORPAY_<NAME>``, or from a file with ``_FILE``."""

    #: The merchant's id, ``acc_…``: what stored mandates belong to, whatever key is used.
    account: str = ""
    key_id: str = ""
    key_secret: str = field(default="", repr=False)
    #: The webhook's own secret, another than the key's.
    webhook_secret: str = field(default="", repr=False)
    api_url: str = "https://api.razorpay.com"
    script: str = "https://checkout.razorpay.com/v1/checkout.js"


class RazorpayPlugin(StorefrontPlugin):
    """Offers the gateway ``razorpay``."""

    name = "razorpay"
    api = 1
    settings = RazorpaySettings

    def setup(self, ctx: PluginContext) -> None:
        own: RazorpaySettings = ctx.settings
        missing = [
            f"STOREFRONT_RAZORPAY_{each.name.upper()}"
            for each in fields(own)
            if each.name in _NEEDED and not getattr(own, each.name)
        ]
        if missing:
            why = PluginUnused if own == RazorpaySettings() else PluginOff
            raise why(f"it has no account: {', '.join(missing)} is not set")
        if not own.key_id.startswith(("rzp_live_", "rzp_test_")):
            raise ValueError("STOREFRONT_RAZORPAY_KEY_ID is no rzp_live_ or rzp_test_ key")
        self.own, self.keys = own, PageKeys(own.key_secret)

        def page(order: str) -> str:
            key = self.keys.seal(order)
            if has_request_context():
                return url_for("razorpay.pay", key=key, _external=True)
            return f"{ctx.pages_url}/pay/{key}"

        self.gateway = RazorpayGateway(
            ctx.http(own.api_url),
            account=own.account,
            key_id=own.key_id,
            secret=own.key_secret,
            webhook_secret=own.webhook_secret,
            now=ctx.now,
            page=page,
        )
        ctx.add_gateway(self.gateway)

    @hookimpl
    def storefront_blueprint(self) -> Blueprint:
        return make_blueprint(self.gateway, self.keys, self.own.key_id, self.own.script)


PLUGIN = RazorpayPlugin
