"""Stripe: cards stored by Stripe's own fields or its hosted page, charged by our schedule.

Stripe keeps the cards and takes the money; plans, dates, retries and invoices stay ours.
"""

from storefront_stripe.plugin import PLUGIN

__all__ = ["PLUGIN"]
