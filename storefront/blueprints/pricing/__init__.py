"""The shop window: plans with their prices, one plan in detail."""

from __future__ import annotations

from storefront.blueprints.pricing.routes import bp

__all__ = ["bp"]
