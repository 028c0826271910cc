"""Ask the shop for a change of a box that is closed and has not left."""

from __future__ import annotations

from flask import Response, abort, request, url_for
from flask_babel import gettext, lazy_gettext
from wtforms import StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain.errors import DomainError
from storefront.domain.late_changes import LateKind
from storefront.htmx import go
from storefront.queries.late_changes import LateBox, late_box
from storefront.services import late_changes

_SHORT = Length(max=80, message=lazy_gettext("Use 80 characters or fewer"))
_LONG = Length(max=120, message=lazy_gettext("Use 120 characters or fewer"))


class NoteForm(Form):
    """Something to tell the shop with the wish."""

    note = TextAreaField(
        lazy_gettext("A word to the shop"),
        [Length(max=400, message=lazy_gettext("Use 400 characters or fewer"))],
    )


class ElsewhereForm(NoteForm):
    """Where this one box is to go; another country would be another price."""

    name = StringField(
        lazy_gettext("Full name"),
        [InputRequired(lazy_gettext("Enter the name on the doorbell or parcel box")), _SHORT],
        filters=[one_line],
    )
    street = StringField(
        lazy_gettext("Street and number"),
        [InputRequired(lazy_gettext("Enter the street and house number")), _LONG],
        filters=[one_line],
    )
    extra = StringField(lazy_gettext("Flat, floor or note"), [_LONG], filters=[one_line])
    postcode = StringField(
        lazy_gettext("Postcode"),
        [
            InputRequired(lazy_gettext("Enter the postcode")),
            Length(max=16, message=lazy_gettext("Use 16 or fewer")),
        ],
        filters=[one_line],
    )
    city = StringField(
        lazy_gettext("Town"),
        [InputRequired(lazy_gettext("Enter the town")), _SHORT],
        filters=[one_line],
    )


@bp.get("/subscriptions/<subscription>/boxes/<cycle>/late")
def late(subscription: str, cycle: str) -> Response:
    """Show what can be asked of the box, and what became of the last wish."""
    box = _found(subscription, cycle)
    return _show(box, ElsewhereForm(data=dict(box.address)))


@bp.post("/subscriptions/<subscription>/boxes/<cycle>/late")
def ask_late(subscription: str, cycle: str) -> Response:
    """Put the wish into the shop's queue."""
    rt, box = runtime(), _found(subscription, cycle)
    is_address = request.form.get("kind") != LateKind.KEEP_BACK.value
    form = ElsewhereForm(request.form) if is_address else NoteForm(request.form)
    if not form.validate():
        shown = form if isinstance(form, ElsewhereForm) else ElsewhereForm(data=dict(box.address))
        return _show(box, shown, status=422)
    parts = {name: form[name].data for name in _PARTS} if is_address else {}
    kind = LateKind.ADDRESS if is_address else LateKind.KEEP_BACK
    wish = late_changes.Wish(kind, parts, (form.note.data or "").strip())
    rt.session.rollback()
    try:
        late_changes.ask_late(rt, customer().id, subscription, cycle, wish)
    except late_changes.LateNotFound:
        abort(404)
    except DomainError as error:
        problem = {
            "already_asked": gettext("You have asked already. We are looking at it."),
            "not_askable": gettext("This box is with the packers, so it stays as it is."),
        }.get(error.code, gettext("Please fill in the whole address."))
        box = _found(subscription, cycle)
        return _show(box, ElsewhereForm(data=dict(box.address)), status=409, problem=problem)
    here = url_for("account.late", subscription=subscription, cycle=cycle)
    return go(here, gettext("We have your wish and write to you as soon as it is decided."))


_PARTS = ("name", "street", "extra", "postcode", "city")


def _found(subscription: str, cycle: str) -> LateBox:
    rt = runtime()
    found = late_box(rt.session, customer().id, subscription, cycle, rt.today())
    if found is None:
        abort(404)
    return found


def _show(box: LateBox, form: ElsewhereForm, status: int = 200, problem: str = "") -> Response:
    return page("late", status, box=box, form=form, problem=problem)
