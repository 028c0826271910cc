"""Mails about offers: wanted or not, said in the account."""

from __future__ import annotations

from flask import Response, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account.base import bp
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.offer_words import VERSION, wanted_words
from storefront.blueprints.typed import one_line
from storefront.htmx import go
from storefront.operations.consents import Given
from storefront.services.marketing import NotConfirmed, set_marketing
from storefront.templating import locale_code


def unwanted_words() -> str:
    """Return what stands on the button that ends it."""
    return _("No more mails about offers")


@bp.post("/privacy/offers")
def save_offers() -> Response:
    """Keep what is wanted, with the words that were shown."""
    me, back = customer(), url_for("account.privacy")
    wants = request.form.get("offers") == "yes"
    given = Given(
        wanted_words() if wants else unwanted_words(),
        f"{VERSION} {locale_code()}",
        request.remote_addr or "",
        one_line(request.user_agent.string),
    )
    try:
        set_marketing(runtime(), me.id, given, wants=wants)
    except NotConfirmed:
        text = _("Confirm your e-mail first: sign in once with a code that we mail you.")
        return go(back, text, is_problem=True)
    if wants:
        return go(back, _("Saved. You can stop it here at any time."))
    return go(back, _("You get no mails about offers. Mails about your boxes and payments go on."))
