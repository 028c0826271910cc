"""The plugin class: settings, set-up, page."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit

from flask import Blueprint, has_request_context, url_for

from storefront.hooks import PluginContext, PluginOff, PluginUnused, StorefrontPlugin, hookimpl
from storefront_authorize_net.gateway import AuthorizeNetGateway
from storefront_authorize_net.pages import make_blueprint

_NEEDED = ("login_id", "transaction_key", "signature_key")
#: The longest duplicate window there is, in seconds (eight hours).
_MOST_SECONDS = 28_800

#: Where no real money moves.
_SANDBOX = "apitest.authorize.net"


@dataclass(frozen=True, slots=True)
class AuthorizeNetSettings:
    """Each is read from ``STOREFRONT_AUTHORIZE_NET_<NAME>``, or from a file with ``_FILE``."""

    login_id: str = ""
    transaction_key: str = field(default="", repr=False)
    #: Signs the messages coming in; without it nobody could tell a forged one.
    signature_key: str = field(default="", repr=False)
    #: An account of Authorize.net has one currency.
    currency: str = "USD"
    api_url: str = "https://api.authorize.net"
    #: Where the hosted card form is.
    form_url: str = "https://accept.authorize.net"
    #: Seconds in which Authorize.net itself drops a second charge with the same number.
    duplicate_window: int = _MOST_SECONDS


class AuthorizeNetPlugin(StorefrontPlugin):
    """Offers the gateway ``authorize_net``."""

    name = "authorize-net"
    api = 1
    settings = AuthorizeNetSettings

    def setup(self, ctx: PluginContext) -> None:
        own: AuthorizeNetSettings = ctx.settings
        missing = [
            f"STOREFRONT_AUTHORIZE_NET_{each.name.upper()}"
            for each in fields(own)
            if each.name in _NEEDED and not getattr(own, each.name)
        ]
        if missing:
            why = PluginUnused if own == AuthorizeNetSettings() else PluginOff
            raise why(f"it has no account: {', '.join(missing)} is not set")
        if not 1 <= own.duplicate_window <= _MOST_SECONDS:
            # Without a window two sends at the same moment would both take money.
            raise ValueError(f"duplicate_window: 1 to {_MOST_SECONDS} seconds")

        def page(key: str) -> str:
            if has_request_context():
                return url_for("authorize_net.card", key=key)
            return f"{ctx.pages_url}/card/{key}"

        self.gateway = AuthorizeNetGateway(
            ctx.http(own.api_url),
            login=own.login_id,
            key=own.transaction_key,
            signature_key=own.signature_key,
            now=ctx.now,
            is_live=urlsplit(own.api_url).hostname != _SANDBOX,
            page=page,
            currency=own.currency,
            duplicate_window=own.duplicate_window,
            form_url=own.form_url,
        )
        ctx.add_gateway(self.gateway)

    @hookimpl
    def storefront_blueprint(self) -> Blueprint:
        return make_blueprint(self.gateway)


PLUGIN = AuthorizeNetPlugin
