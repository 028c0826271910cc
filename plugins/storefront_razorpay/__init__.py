"""Razorpay: cards, UPI Autopay and bank e-mandates of customers in India.

The customer agrees to a mandate in Razorpay's own window, so no card number reaches this shop.
Set-up and limits: ``docs/payments.md``.
"""

from storefront_razorpay.gateway import RazorpayGateway
from storefront_razorpay.plugin import PLUGIN

__all__ = ["PLUGIN", "RazorpayGateway"]
