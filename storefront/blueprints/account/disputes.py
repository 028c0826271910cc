"""A payment the customer's bank took back: what it holds, and going on after it was won."""

from __future__ import annotations

from flask import Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.context import customer, runtime
from storefront.domain.disputes import NothingToResume
from storefront.htmx import go
from storefront.queries import disputes as query
from storefront.services import disputes as service


@bp.route("/disputes/<dispute>", methods=["GET", "POST"])
def dispute(dispute: str) -> Response:
    """Explain the hold; on the button, let the subscription go on."""
    rt, me = runtime(), customer()
    if request.method == "GET":
        found = query.dispute_of_payer(rt.session, dispute, me.id)
        if found is None:
            abort(404)
        return page("dispute", found=found)
    try:
        done = service.resume_by_customer(rt, me.id, me.public_id, dispute)
    except LookupError:
        abort(404)
    except NothingToResume:
        return go(url_for("account.dispute", dispute=dispute))
    text = _("It goes on. Nothing of what was missed is charged.")
    if len(done) == 1:
        return go(url_for("account.subscription", subscription=done[0]), text)
    return go(url_for("account.home"), text)
