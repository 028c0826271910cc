"""PayPal: wallets in its vault, charged as orders.

The customer approves on PayPal's own page; nothing of PayPal's stands on ours. Set-up and
limits: ``docs/payments.md``.
"""

from storefront_paypal.gateway import PayPalGateway
from storefront_paypal.plugin import PLUGIN

__all__ = ["PLUGIN", "PayPalGateway"]
