"""The plugin class: settings and set-up. It has no page: labels are bought at EasyPost."""

from __future__ import annotations

from dataclasses import dataclass, field

from storefront.hooks import PluginContext, PluginOff, PluginUnused, StorefrontPlugin
from storefront_easypost.provider import EasyPost


@dataclass(frozen=True, slots=True)
class EasyPostSettings:
    """Each is read from ``STOREFRONT_EASYPOST_<NAME>``, or from a file with ``_FILE``."""

    api_key: str = field(default="", repr=False)
    #: The secret given to the webhook there; without it no message is taken and parcels are asked
    #: about instead.
    webhook_secret: str = field(default="", repr=False)
    #: EasyPost's id of the address that parcels leave from, ``adr_…``. Without it no box is
    #: handed over, and parcels are only followed.
    from_address: str = ""
    #: Who certifies customs declarations, by name. Without it they go uncertified, which some
    #: carriers do not print.
    customs_signer: str = ""
    #: Why no export filing is needed, as United States shops write it: ``NOEEI 30.37(a)``.
    customs_eel_pfc: str = ""
    api_url: str = "https://api.easypost.com"


class EasyPostPlugin(StorefrontPlugin):
    """Offers the shipping provider ``easypost``."""

    name = "easypost"
    api = 1
    settings = EasyPostSettings

    def setup(self, ctx: PluginContext) -> None:
        own: EasyPostSettings = ctx.settings
        if not own.api_key:
            why = PluginUnused if own == EasyPostSettings() else PluginOff
            raise why("it has no account: STOREFRONT_EASYPOST_API_KEY is not set")
        ctx.add_shipping_provider(
            EasyPost(
                ctx.http(own.api_url),
                key=own.api_key,
                secret=own.webhook_secret,
                from_address=own.from_address,
                signer=own.customs_signer,
                exemption=own.customs_eel_pfc,
            )
        )


PLUGIN = EasyPostPlugin
