"""The blueprint and what its handlers share."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from storefront.blueprints.context import runtime
from storefront.blueprints.gateway_words import method_name
from storefront.blueprints.health_words import health_words
from storefront.blueprints.skip_words import skip_kept, skip_rules
from storefront.htmx import show

bp = Blueprint("account", __name__, url_prefix="/account")
# Not values of the page: macros that are imported know only what every template knows.
for function in (health_words, method_name, skip_kept, skip_rules):
    bp.add_app_template_global(function)


def page(name: str, status: int = 200, **context: Any) -> Response:
    """Answer with the account page ``name``, or its partial of the same name.

    Pages are shown at the shop's own rates of tax; where a provider has the last word on the
    day of the payment, ``tax_is_asked`` has them say so.
    """
    context.setdefault("tax_is_asked", runtime().hooks.has("quote_tax"))
    folder = "storefront/account"
    return show(f"{folder}/{name}.html", f"{folder}/_{name}.html", status, **context)
