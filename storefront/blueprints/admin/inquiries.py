"""What subscribers ask: the list, one conversation, answering, noting, closing."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import HiddenField, TextAreaField
from wtforms.validators import InputRequired, Length

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line, several_lines
from storefront.domain import permissions as may
from storefront.domain.inquiries import (
    LONGEST,
    ConversationFull,
    InquiryNotFound,
    NewerMessage,
    Standing,
)
from storefront.formats import day
from storefront.htmx import go
from storefront.inquiry_words import about_name, title, topics
from storefront.operations.secrets import new_nonce
from storefront.queries import inquiries as query
from storefront.security import register_policy, staff
from storefront.services import inquiries
from storefront.templating import writing_locale

_SEES, _WRITES = staff(may.SUBSCRIBERS_VIEW), staff(may.MESSAGES_MANAGE)
register_policy(
    {
        "admin.inquiries": _SEES,
        "admin.inquiry": _SEES,
        "admin.inquiry_answer": _WRITES,
        "admin.inquiry_note": _WRITES,
        "admin.inquiry_close": _WRITES,
    }
)


class AnswerForm(Form):
    """What goes to the customer."""

    once = HiddenField(filters=[lambda text: (text or "")[:64]])
    seen = HiddenField(filters=[lambda text: (text or "")[:8]])
    text = TextAreaField(
        lazy_gettext("Your answer"),
        [InputRequired(lazy_gettext("Write your answer")), Length(max=LONGEST)],
        filters=[several_lines],
    )


class NoteForm(Form):
    """What stays among the staff."""

    once = HiddenField(filters=[lambda text: (text or "")[:64]])
    note = TextAreaField(
        lazy_gettext("Note for the staff"),
        [InputRequired(lazy_gettext("Write the note")), Length(max=LONGEST)],
        filters=[several_lines],
    )


def add_inquiries(bp: Blueprint) -> None:
    """Add the list, one conversation, and what it posts to."""
    address = "/inquiries/<ref>"
    bp.add_url_rule("/inquiries", "inquiries", inquiries_list)
    bp.add_url_rule(address, "inquiry", inquiry)
    bp.add_url_rule(f"{address}/answer", "inquiry_answer", answer, methods=["POST"])
    bp.add_url_rule(f"{address}/note", "inquiry_note", note, methods=["POST"])
    bp.add_url_rule(f"{address}/close", "inquiry_close", close, methods=["POST"])


def inquiries_list() -> Response:
    """List conversations, narrowed by the address alone."""
    args = request.args
    states = [one.value for one in Standing]
    state = args.get("state", "") if args.get("state") in states else ""
    q = one_line(args.get("q"))[:120]
    found = query.listed(runtime().session, state, q, one_line(args.get("before"))[:40])
    return page("inquiries/inquiries", found=found, state=state, states=states, q=q, title=title)


def inquiry(ref: str) -> Response:
    """Show one conversation with its notes."""
    return _show(ref)


def answer(ref: str) -> Response:
    """Answer it."""
    form = AnswerForm(request.form)
    if not form.validate():
        return _show(ref, 422, form=form)
    seen = int(form.seen.data) if (form.seen.data or "").isdecimal() else 0
    try:
        inquiries.answer(
            runtime(), who(), ref, form.text.data or "", form.once.data or new_nonce(), seen
        )
    except InquiryNotFound:
        abort(404)
    except NewerMessage:
        return _newer(ref, form)
    return go(_url(ref), _("Sent. It goes out by mail too."))


def note(ref: str) -> Response:
    """Write something down for the staff."""
    form = NoteForm(request.form)
    if not form.validate():
        return _show(ref, 422, note_form=form)
    once = form.once.data or new_nonce()
    try:
        inquiries.note(runtime(), who(), ref, form.note.data or "", once)
    except InquiryNotFound:
        abort(404)
    except ConversationFull:
        form.note.errors = [_("There are too many messages here for another note")]
        return _show(ref, 422, note_form=form)
    return go(_url(ref), _("Noted. Only staff see it."))


def close(ref: str) -> Response:
    """Say that nothing is left to do."""
    seen = request.form.get("seen", "")[:8]
    try:
        inquiries.close(runtime(), who(), ref, int(seen) if seen.isdecimal() else 0)
    except InquiryNotFound:
        abort(404)
    except NewerMessage:
        return _newer(ref)
    return go(url_for("admin.inquiries", state="open"), _("Closed."))


def _newer(ref: str, form: AnswerForm | None = None) -> Response:
    problem = _("Something was written meanwhile. Nothing was sent: read it first.")
    return _show(ref, 422, problem, form)


def _show(
    ref: str,
    status: int = 200,
    problem: str = "",
    form: AnswerForm | None = None,
    note_form: NoteForm | None = None,
) -> Response:
    rt = runtime()
    rt.session.rollback()
    found = query.conversation(rt.session, ref)
    if found is None:
        abort(404)
    form = form or AnswerForm(data={"once": new_nonce()})
    form.seen.data = str(found.seen)
    about = about_name(found.about, _day) if found.about else ""
    return page(
        "inquiries/inquiry",
        status,
        talk=found,
        about=about,
        topic=topics().get(found.row.topic, ""),
        title=title,
        problem=problem,
        form=form,
        note_form=note_form or NoteForm(data={"once": new_nonce()}),
    )


def _day(value: Any) -> str:
    return day(value, writing_locale(), runtime().today())


def _url(ref: str) -> str:
    return url_for("admin.inquiry", ref=ref)
