"""EasyPost: boxes become shipments to buy labels for, parcels are followed until they arrive.

Set-up and limits: ``docs/tracking.md``.
"""

from storefront_easypost.plugin import PLUGIN
from storefront_easypost.provider import EasyPost

__all__ = ["PLUGIN", "EasyPost"]
