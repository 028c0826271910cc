"""Authorize.net: cards in its customer profiles, charged over its JSON API.

The customer types the card on a page of Authorize.net's own, so no card number and no script of
anybody reaches this shop. Set-up and limits: ``docs/payments.md``.
"""

from storefront_authorize_net.gateway import AuthorizeNetGateway
from storefront_authorize_net.plugin import PLUGIN

__all__ = ["PLUGIN", "AuthorizeNetGateway"]
