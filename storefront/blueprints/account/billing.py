"""Whom the invoices of an account are made out to, where it is not who gets the boxes."""

from __future__ import annotations

from flask import Response, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.address_parts import is_turning
from storefront.blueprints.checkout.forms import BillingForm
from storefront.blueprints.context import customer, runtime
from storefront.htmx import go
from storefront.queries import profile
from storefront.services.billing import save_billing
from storefront.templating import writing_locale


@bp.route("/billing", methods=["GET", "POST"])
def billing() -> Response:
    """Show whom invoices are for, and take somebody else or nobody."""
    rt, me = runtime(), customer()
    known = profile.billing(rt.session, me.id)
    rt.session.rollback()
    start = known or {"country": rt.shop.countries[0]}
    form = BillingForm(request.form, data=start, prefix="billing-")
    form.offer(writing_locale().territories)
    if request.method == "GET" or is_turning():
        return page("billing", form=form, known=known)
    if "remove" in request.form:
        save_billing(rt, me.id, {})
        return go(url_for("account.billing"), _("Your next invoices go to where your boxes go."))
    form.is_asked = True
    if not form.validate():
        return page("billing", 422, form=form, known=known, page_has_errors=True)
    save_billing(rt, me.id, form.address())
    return go(url_for("account.billing"), _("Saved. It stands on your next invoices."))
