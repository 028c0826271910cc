"""Sign customers in and out: a mailed code or link, a password, or the shop around us."""

from __future__ import annotations

from storefront.blueprints.auth.routes import bp

__all__ = ["bp"]
