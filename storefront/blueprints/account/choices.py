"""Choose what is in the next box."""

from __future__ import annotations

from flask import Response, flash, url_for
from flask_babel import gettext as _

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.choice_desk import Answer, Desk
from storefront.blueprints.choosing import rule_words
from storefront.blueprints.context import customer
from storefront.htmx import go, wants_partial


@bp.get("/subscriptions/<subscription>/boxes/<cycle>/choose")
def choose(subscription: str, cycle: str) -> Response:
    """Show the pool with what is chosen of it."""
    return _show(Desk(customer().id, subscription, cycle).look())


@bp.post("/subscriptions/<subscription>/boxes/<cycle>/choose")
def save_choice(subscription: str, cycle: str) -> Response:
    """Save the choice, take it back, or save what is not tolerated."""
    answer = Desk(customer().id, subscription, cycle).act()
    if answer.done:
        return go(url_for("account.subscription", subscription=subscription), answer.done)
    return _show(answer)


def _show(answer: Answer) -> Response:
    found, message = answer.page, None
    if answer.is_noted:
        message = _("Noted. It holds for every box that is not packed yet.")
        if not wants_partial():
            flash(message)
    sub, instead = found.subscription, found.instead
    return page(
        "choose",
        # A refusal is a fresh page with the new truth, so it is swapped like any other.
        200 if answer.status == 409 and wants_partial() else answer.status,
        choice=found,
        choice_is_own=True,
        form=answer.form,
        rules=rule_words(found),
        url=url_for("account.choose", subscription=sub, cycle=found.cycle),
        back=url_for("account.subscription", subscription=sub),
        instead_url=url_for("account.choose", subscription=sub, cycle=instead.cycle)
        if instead
        else "",
        message=message if wants_partial() else None,
        page_has_errors=bool(answer.form.summary),
    )
