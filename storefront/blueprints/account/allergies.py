"""Say what must not be in the boxes of a subscription."""

from __future__ import annotations

from flask import Response, abort, request, url_for
from flask_babel import gettext as _

from storefront import formats
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.health_words import given_now, missing_words
from storefront.htmx import go
from storefront.merchant_texts import said
from storefront.queries.allergies import AllergyPage, allergy_page, lost_choices
from storefront.services.choices import NotFound, answer_allergies
from storefront.templating import writing_locale


@bp.get("/subscriptions/<subscription>/allergies")
def allergies(subscription: str) -> Response:
    """Show the words, with what was ticked before."""
    found = _found(subscription)
    return _show(found, {word for word, avoided in found.words if avoided}, found.is_answered)


@bp.post("/subscriptions/<subscription>/allergies")
def save_allergies(subscription: str) -> Response:
    """Save what is ticked; it is kept only with a tick that agrees to that."""
    found = _found(subscription)
    ticked, agrees = request.form.getlist("avoid"), bool(request.form.get("agree"))
    if ticked and not agrees:
        return _show(found, set(ticked), agrees, missing_words())
    try:
        changed = answer_allergies(
            runtime(),
            customer().id,
            subscription,
            ticked,
            given=given_now(keeps=bool(ticked)),
        )
    except NotFound:
        abort(404)
    back = url_for("account.subscription", subscription=subscription)
    if not changed:
        return go(back, _("Nothing changed."))
    gone = _gone(found)
    if gone:
        return go(back, _("Noted. Of what you chose, this does not come now: %(list)s.", list=gone))
    return go(back, _("Noted. It holds for every box that is not packed yet."))


def _gone(found: AllergyPage) -> str:
    """Return what was chosen and is left out by what was just saved, as words."""
    rt = runtime()
    before = [word for word, avoided in found.words if avoided]
    lost = lost_choices(rt.session, customer().id, found.subscription, before, rt.today())
    rt.session.rollback()
    names = dict.fromkeys(said(name) for one in lost for name, _pieces in one.pieces)
    return formats.listing(list(names), writing_locale())


def _found(subscription: str) -> AllergyPage:
    rt = runtime()
    found = allergy_page(rt.session, customer().id, subscription)
    rt.session.rollback()
    if found is None or not found.words:
        abort(404)
    return found


def _show(found: AllergyPage, ticked: set[str], agrees: bool, error: str = "") -> Response:
    return page(
        "allergies",
        422 if error else 200,
        asked=found,
        ticked=ticked,
        agrees=agrees,
        error=error,
        url=url_for("account.allergies", subscription=found.subscription),
        back=url_for("account.subscription", subscription=found.subscription),
        page_has_errors=bool(error),
    )
