"""The page that leads to Authorize.net's card form. It needs no script."""

from __future__ import annotations

from flask import Blueprint, abort, render_template
from flask_babel import gettext as _

from storefront_authorize_net.api import Refused, Silent
from storefront_authorize_net.gateway import AuthorizeNetGateway


def make_blueprint(gateway: AuthorizeNetGateway) -> Blueprint:
    """Return the page. Its key is signed, so it sends nobody to an address that is not ours."""
    bp = Blueprint("authorize_net", __name__, template_folder="templates")

    @bp.get("/card/<key>")
    def card(key: str) -> str | tuple[str, int]:
        known = gateway.vault.read_key(key) or abort(404)
        profile, back, out = known
        try:
            token = gateway.vault.page_token(profile, back, _("Back to the shop"))
        except (Silent, Refused):
            return render_template("authorize_net/card.html", token="", out=out), 503
        return render_template(
            "authorize_net/card.html",
            token=token,
            out=out,
            form_url=f"{gateway.form_url}/customer/addPayment",
        )

    return bp
