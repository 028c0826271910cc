"""Shippo: boxes become orders to buy labels for, parcels are followed until they arrive.

Set-up and limits: ``docs/tracking.md``.
"""

from storefront_shippo.plugin import PLUGIN
from storefront_shippo.provider import Shippo

__all__ = ["PLUGIN", "Shippo"]
