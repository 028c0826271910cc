"""One box: where it is, what became of it, sending it again; and what that costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from wtforms import RadioField, StringField, TextAreaField, ValidationError
from wtforms.validators import Length

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.cycles import problem_words
from storefront.blueprints.admin.fields import MoneyField
from storefront.blueprints.admin.words import long_day
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.boxes import BoxState
from storefront.domain.errors import DomainError
from storefront.domain.replacements import (
    NotReplaceable,
    Reason,
    may_become,
    suggested_reason,
)
from storefront.htmx import go
from storefront.navigation import page_url
from storefront.queries import cycles
from storefront.queries import replacements as query
from storefront.queries.cycles import BatchRow
from storefront.queries.late_changes import late_box_of
from storefront.queries.replacements import BoxPage
from storefront.queries.returns import is_waiting
from storefront.queries.shortages import lacks_of_box
from storefront.security import register_policy, staff
from storefront.services import replacements, returns

#: How far back the figures reach.
_DAYS = 365
_MOST_TEXT = 60_000
_OUTCOMES = (BoxState.DELIVERED, BoxState.RETURNED, BoxState.LOST)

register_policy(
    dict.fromkeys(
        (
            "admin.box",
            "admin.box_outcome",
            "admin.settle_return",
            "admin.replace_box",
            "admin.take_back_box",
            "admin.batch_outcome",
            "admin.replacements",
        ),
        staff(permissions.BOXES_MANAGE),
    )
)


class ReplaceForm(Form):
    """Why a box is sent again, when, and what the parcel costs."""

    reason = RadioField(lazy_gettext("Why"))
    when = RadioField(lazy_gettext("When"))
    shipping = MoneyField(
        lazy_gettext("Cost of the new parcel"),
        description=lazy_gettext("What you pay for sending it. Only for your figures."),
    )
    note = StringField(
        lazy_gettext("Note"),
        [Length(max=200, message=lazy_gettext("Note must be 200 characters or fewer"))],
        filters=[one_line],
        description=lazy_gettext("For your colleagues. The customer does not see it."),
    )


class OutcomeForm(Form):
    """What became of some boxes of a batch."""

    state = RadioField(lazy_gettext("What became of them"))
    boxes = TextAreaField(
        lazy_gettext("Which boxes"),
        description=lazy_gettext("One box id or tracking number per line."),
    )

    def validate_boxes(self, field: TextAreaField) -> None:
        if len(field.data or "") > _MOST_TEXT:
            raise ValidationError(_("That is too much at once. Do it in parts."))
        if not self.names:
            raise ValidationError(_("Name at least one box"))

    @property
    def names(self) -> list[str]:
        """The lines that say something."""
        return [name for line in (self.boxes.data or "").splitlines() if (name := one_line(line))]


def add_boxes(bp: Blueprint) -> None:
    """Add the page of a box and what is done there."""
    bp.add_url_rule("/boxes/<box>", "box", show_box)
    bp.add_url_rule("/boxes/<box>/outcome", "box_outcome", outcome, methods=["POST"])
    bp.add_url_rule("/boxes/<box>/settle", "settle_return", settle, methods=["POST"])
    bp.add_url_rule("/boxes/<box>/replace", "replace_box", replace, methods=["GET", "POST"])
    bp.add_url_rule("/boxes/<box>/take-back", "take_back_box", take_back, methods=["POST"])
    bp.add_url_rule("/batches/<batch>/outcome", "batch_outcome", outcomes, methods=["GET", "POST"])
    bp.add_url_rule("/replacements", "replacements", overview)


def show_box(box: str) -> Response:
    """Show one box and the next step with it."""
    return page("boxes/box", **_box_page(found_box(box)))


def outcome(box: str) -> Response:
    """Note that a box arrived, came back or is lost."""
    found = found_box(box)
    then = _state(request.form.get("state", ""))
    if then is None or not may_become(found.state, then):
        text = _("That cannot be noted of this box any more.")
        return page("boxes/box", 422, refused=text, **_box_page(found))
    replacements.note_outcome(runtime(), box, then, who())
    return _done(box, outcome_words()[then][0])


def settle(box: str) -> Response:
    """Put a box that came back aside."""
    found_box(box)
    is_done = returns.settle_return(runtime(), box, who())
    is_listed = request.form.get("from") == "list"
    to = page_url("admin.worklist", code="returned") if is_listed else ""
    text = _("Settled. It is off the list.") if is_done else _("It is not on the list any more.")
    return go(to or url_for("admin.box", box=box), text)


def replace(box: str) -> Response:
    """Ask why and what to send, then send a box again."""
    found, form = found_box(box), _replace_form(box)
    if not found.has_left or found.replaced_by:
        return go(url_for("admin.box", box=box))
    if request.method == "GET":
        reason = suggested_reason(found.state)
        form.reason.process_data(reason.value if reason else None)
        form.when.process_data("next" if found.next_cycle else "now")
        return _replace_page(found, form)
    pieces, wrong = _pieces(found)
    if not form.validate() or wrong:
        return _replace_page(found, form, 422, pieces_error=wrong)
    wanted = replacements.Wanted(
        Reason(form.reason.data),
        pieces,
        form.when.data == "now",
        form.shipping.money.minor,
        form.note.data or "",
    )
    try:
        done = replacements.replace_box(runtime(), box, wanted, who())
    except replacements.AlreadyReplaced as known:
        return go(url_for("admin.box", box=known.params["box"]), _("It is sent again already."))
    except DomainError as error:
        return _replace_page(found, form, 422, refused=_refusal(error))
    return go(url_for("admin.box", box=done.public_id), _sent(done))


def take_back(box: str) -> Response:
    """Cancel a replacement that the packers do not have."""
    found = found_box(box)
    if replacements.take_back(runtime(), box, who()):
        return _done(box, _("Taken back. Its contents are on the shelf again."))
    text = _("The packers have it already, or it was taken back before.")
    return page("boxes/box", 422, refused=text, **_box_page(found))


def outcomes(batch: str) -> Response:
    """Note the same of several boxes of a batch."""
    found, form = _batch(batch), OutcomeForm(request.form)
    words = outcome_words()
    form.state.choices = [(state.value, words[state][1]) for state in _OUTCOMES]
    if request.method == "GET":
        form.state.process_data(BoxState.LOST.value)
        return _outcome_page(found, form)
    if not form.validate():
        return _outcome_page(found, form, 422)
    try:
        count = replacements.note_outcomes(
            runtime(), batch, form.names, BoxState(form.state.data), who()
        )
    except replacements.UnknownBoxes as unknown:
        names = ", ".join(unknown.params["boxes"][:3])
        form.boxes.errors = [_("Not in this batch, or not shipped yet: %(box)s", box=names)]
        return _outcome_page(found, form, 422)
    text = ngettext("Noted of %(num)s box.", "Noted of %(num)s boxes.", count)
    return go(url_for("admin.cycle", cycle=found.cycle_ref), text)


def overview() -> Response:
    """Show what replacements cost by reason, and the last of them."""
    rt = runtime()
    since = rt.moment().start_of(rt.today() - timedelta(days=_DAYS))
    return page(
        "boxes/replacements",
        sums=query.by_reason(rt.session, since),
        rows=query.latest(rt.session),
        reasons=reason_words(),
        days=_DAYS,
    )


def found_box(box: str) -> BoxPage:
    """Return the box that a page is about; 404 where there is none."""
    rt = runtime()
    found = query.box_page(rt.session, box, rt.moment())
    rt.session.rollback()
    if found is None:
        abort(404)
    return found


def _batch(batch: str) -> BatchRow:
    rt = runtime()
    found = cycles.batch(rt.session, batch)
    rt.session.rollback()
    if found is None or not found.sha256:
        abort(404)
    return found


def _box_page(found: BoxPage) -> dict[str, Any]:
    words, rt = outcome_words(), runtime()
    lacks = lacks_of_box(rt.session, found.public_id)
    late = late_box_of(rt.session, found.public_id, rt.today())
    came_back = is_waiting(rt.session, found.public_id, rt.moment())
    rt.session.rollback()
    return {
        "box": found,
        "box_lacks": lacks,
        "can_settle": came_back,
        "late_kinds": late.kinds if late else (),
        "reasons": reason_words(),
        "problem": problem_words().get(found.problem, (found.problem, "")),
        "outcomes": [
            (state.value, words[state][2]) for state in _OUTCOMES if may_become(found.state, state)
        ],
    }


def _replace_form(box: str) -> ReplaceForm:
    form = ReplaceForm(request.form)
    form.shipping.currency = runtime().shop.currency
    form.reason.choices = [(code, words) for code, words in reason_words().items()]
    found = found_box(box)
    form.when.choices = [("now", _("Now, with the next export of its cycle"))]
    if found.next_cycle:
        leaves = long_day(found.next_cycle[1])
        text = _("With the next cycle, which leaves on %(day)s", day=leaves)
        form.when.choices.insert(0, ("next", text))
    return form


def _pieces(found: BoxPage) -> tuple[dict[str, int], str]:
    """Return the pieces typed for each product, and what is wrong with them."""
    pieces = {}
    for one in found.contents:
        text = one_line(request.form.get(f"pieces-{one.ref}", "0"))
        if not (text.isascii() and text.isdecimal() and int(text[:9]) <= one.pieces):
            return {}, _("Enter how many of %(name)s, at most %(n)s", name=one.name, n=one.pieces)
        pieces[one.ref] = int(text)
    if not any(pieces.values()):
        return {}, _("Choose at least one product")
    return pieces, ""


def _replace_page(found: BoxPage, form: ReplaceForm, status: int = 200, **more: Any) -> Response:
    typed = {
        one.ref: request.form.get(f"pieces-{one.ref}", str(one.pieces)) for one in found.contents
    }
    return page("boxes/replace", status, box=found, form=form, typed=typed, **more)


def _outcome_page(found: BatchRow, form: OutcomeForm, status: int = 200) -> Response:
    return page("boxes/outcome", status, batch=found, form=form)


def _done(box: str, message: str) -> Response:
    return saved(message, "boxes/box", url_for("admin.box", box=box), **_box_page(found_box(box)))


def _state(code: str) -> BoxState | None:
    return next((state for state in _OUTCOMES if state.value == code), None)


def _sent(done: replacements.Replaced) -> str:
    if done.problem:
        why = problem_words().get(done.problem, (done.problem, ""))[0]
        return _("It is to be sent again, but waits: %(why)s.", why=why)
    if done.state is BoxState.LOCKED:
        return _("It is packed with the next export of cycle %(cycle)s.", cycle=done.cycle_key)
    return _("It is packed with cycle %(cycle)s.", cycle=done.cycle_key)


def _refusal(error: DomainError) -> str:
    if isinstance(error, replacements.NoNextCycle):
        return _("No coming cycle takes a box. Send it now.")
    if isinstance(error, NotReplaceable):
        return _("This box cannot be sent again for this reason.")
    raise error


def reason_words() -> dict[str, str]:
    """Return what each reason is called."""
    return {
        Reason.LOST: _("It never arrived"),
        Reason.RETURNED: _("It came back"),
        Reason.DAMAGED: _("It arrived broken"),
        Reason.INCOMPLETE: _("Something was missing"),
        Reason.WRONG: _("The wrong things were in it"),
    }


def outcome_words() -> dict[BoxState, tuple[str, str, str]]:
    """Return what is said when a state was noted, what it is called, and its button."""
    return {
        BoxState.DELIVERED: (_("Noted: it arrived."), _("They arrived"), _("It arrived")),
        BoxState.RETURNED: (
            _("Noted: it came back. Send it again, or give the money back."),
            _("They came back"),
            _("It came back"),
        ),
        BoxState.LOST: (
            _("Noted: it is lost. Send it again, or give the money back."),
            _("They are lost"),
            _("It is lost"),
        ),
    }
