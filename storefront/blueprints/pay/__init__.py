"""Pay one invoice by the link of a mail, without signing in."""

from __future__ import annotations

from storefront.blueprints.pay.routes import bp

__all__ = ["bp"]
