"""The plugin class: settings, set-up, pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import Blueprint, has_request_context, url_for

from storefront.hooks import PluginContext, PluginOff, PluginUnused, StorefrontPlugin, hookimpl
from storefront_stripe.keys import PageKeys
from storefront_stripe.pages import make_blueprint

if TYPE_CHECKING:
    from storefront_stripe.gateway import StripeGateway

_PAGES = ("element", "checkout")
_THREE_D_SECURE = ("automatic", "any", "challenge")


@dataclass(frozen=True, slots=True)
class StripeSettings:
    """Each is read from ``STOREFRONT_STRIPE_<NAME>``, a secret also from ``…_FILE``."""

    #: ``sk_…`` or, better, a restricted key ``rk_…``; live or test is read from it.
    secret_key: str = field(default="", repr=False)
    #: ``pk_…``, which Stripe's fields in the browser need; of the same mode.
    publishable_key: str = ""
    #: ``acct_…``, as Stripe's dashboard shows it: stored cards belong to this account.
    account: str = ""
    #: ``whsec_…``; several, parted by commas, while one is exchanged.
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    #: ``element``: Stripe's fields on a page of the shop. ``checkout``: Stripe's own page.
    page: str = "element"
    #: Kinds of method by Stripe's names. Empty: those switched on in Stripe's dashboard.
    methods: tuple[str, ...] = ("card",)
    #: How eagerly a new card is authenticated: ``automatic``, ``any`` or ``challenge``.
    three_d_secure: str = "automatic"
    #: Where Stripe's API is.
    url: str = "https://api.stripe.com"
    #: Where the browser gets Stripe's script.
    script: str = "https://js.stripe.com/endive/stripe.js"


class StripePlugin(StorefrontPlugin):
    """Offers the gateway ``stripe``."""

    name = "stripe"
    api = 1
    settings = StripeSettings

    def setup(self, ctx: PluginContext) -> None:
        """Raises ``PluginOff`` without keys, ``ValueError`` for settings that cannot be meant."""
        own: StripeSettings = ctx.settings
        for name in ("secret_key", "publishable_key", "account"):
            if not getattr(own, name):
                why = PluginUnused if own == StripeSettings() else PluginOff
                raise why(f"STOREFRONT_STRIPE_{name.upper()} is not set")
        is_live = _mode(own)
        if not own.webhook_secrets:
            ctx.log.warning("STOREFRONT_STRIPE_WEBHOOK_SECRETS is not set: no message is let in")
        self.keys, self.own, self.is_live = PageKeys(own.secret_key), own, is_live
        self.gateway = _gateway(own, is_live, ctx, self.keys)
        ctx.add_gateway(self.gateway)

    @hookimpl
    def storefront_blueprint(self) -> Blueprint:
        return make_blueprint(self.gateway, self.keys, self.own, is_live=self.is_live)


def _mode(own: StripeSettings) -> bool:
    """Return whether the keys are live. Raises ``ValueError`` naming what cannot be meant."""
    modes = {}
    for name, kinds in (("secret_key", ("sk", "rk")), ("publishable_key", ("pk",))):
        kind, _, mode = getattr(own, name).partition("_")
        mode = mode.partition("_")[0]
        if kind not in kinds or mode not in ("live", "test"):
            raise ValueError(f"STOREFRONT_STRIPE_{name.upper()} is no {kinds[0]}_live or _test key")
        modes[name] = mode
    if len(set(modes.values())) > 1:
        raise ValueError("one of the keys of Stripe is live, the other for tests")
    if not own.account.startswith("acct_"):
        raise ValueError("STOREFRONT_STRIPE_ACCOUNT does not begin with acct_")
    if own.page not in _PAGES:
        raise ValueError(f"STOREFRONT_STRIPE_PAGE is none of {', '.join(_PAGES)}")
    if own.three_d_secure not in _THREE_D_SECURE:
        raise ValueError(
            f"STOREFRONT_STRIPE_THREE_D_SECURE is none of {', '.join(_THREE_D_SECURE)}"
        )
    return "live" in modes.values()


def _gateway(
    own: StripeSettings, is_live: bool, ctx: PluginContext, keys: PageKeys
) -> StripeGateway:
    # The SDK takes a third of a second and many megabytes: only shops with keys load it.
    from storefront_stripe.api import StripeApi  # noqa: PLC0415
    from storefront_stripe.gateway import StripeGateway  # noqa: PLC0415
    from storefront_stripe.setups import SetupChoices  # noqa: PLC0415

    return StripeGateway(
        StripeApi(own.secret_key, own.url, ctx.http(own.url)),
        account=own.account,
        is_live=is_live,
        webhook_secrets=own.webhook_secrets,
        page=_page(ctx.pages_url, keys),
        now=ctx.now,
        choices=SetupChoices(own.page, own.methods, own.three_d_secure),
        log=ctx.log,
    )


def _page(pages_url: str, keys: PageKeys) -> Callable[[str, str], str]:
    """Return what gives the address of a page for an object of Stripe's."""

    def page(kind: str, name: str) -> str:
        key = keys.seal(kind, name)
        if has_request_context():
            return url_for(f"stripe.{kind}", key=key, _external=True)
        return f"{pages_url}/{kind}/{key}"

    return page


PLUGIN = StripePlugin
