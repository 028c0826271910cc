"""A firm's VAT number, as it stands on its invoices."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import StringField
from wtforms.validators import Length

from storefront.adapters.tax_numbers import NotATaxNumber
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain.tax_treatment import TaxIdState
from storefront.htmx import go
from storefront.queries import profile
from storefront.services import tax_ids


class TaxIdForm(Form):
    """One VAT number, or none."""

    tax_id = StringField(
        lazy_gettext("VAT number"),
        [Length(max=24, message=lazy_gettext("A VAT number has 24 characters at most"))],
        filters=[one_line],
    )


@bp.route("/vat-number", methods=["GET", "POST"])
def tax_id() -> Response:
    """Show the number and what is known of it; take another one."""
    rt, me = runtime(), customer()
    if request.method == "GET":
        known = profile.tax_number(rt.session, me.id)
        return _page(TaxIdForm(data={"tax_id": known.number}))
    form = TaxIdForm(request.form)
    if not form.validate():
        return _page(form, 422)
    rt.session.rollback()
    try:
        state = tax_ids.save_tax_id(rt, me.id, form.tax_id.data or "", rt.shop.seller_country)
    except NotATaxNumber:
        form.tax_id.errors = [
            _("That is no VAT number. It begins with the country's letters, like DE136695976")
        ]
        return _page(form, 422)
    return go(url_for("account.tax_id"), _said(state))


def _page(form: Any, status: int = 200) -> Response:
    rt, me = runtime(), customer()
    rt.session.rollback()
    return page(
        "tax_id",
        status,
        form=form,
        known=profile.tax_number(rt.session, me.id),
        page_has_errors=status != 200,
    )


def _said(state: TaxIdState) -> str:
    return {
        TaxIdState.NONE: _("Removed. Your next invoices bear VAT."),
        TaxIdState.PENDING: _("Saved. Until we have checked it, your invoices bear VAT."),
        TaxIdState.VALID: _("Saved and confirmed. It counts from your next invoice on."),
        TaxIdState.INVALID: _("Saved, but the register does not know it. Check the number."),
    }[state]
