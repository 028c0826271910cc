"""Write to the merchant, and read what was written back."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import HiddenField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.validators import InputRequired, Length

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line, several_lines
from storefront.domain.inquiries import (
    LONGEST,
    PER_HOUR,
    SUBJECT,
    ConversationFull,
    InquiryNotFound,
    Topic,
)
from storefront.formats import day
from storefront.htmx import go, wants_partial
from storefront.inquiry_words import about_name, title, topics
from storefront.operations.secrets import new_nonce
from storefront.queries import inquiries as query
from storefront.security import throttle
from storefront.services import inquiries
from storefront.templating import writing_locale

_HOUR = 3600


class ReplyForm(Form):
    """One message."""

    once = HiddenField(filters=[lambda text: (text or "")[:64]])
    text = TextAreaField(
        lazy_gettext("Your message"),
        [InputRequired(lazy_gettext("Write your message")), Length(max=LONGEST)],
        filters=[several_lines],
    )


class InquiryForm(ReplyForm):
    """What it is about, and the first message."""

    topic = SelectField(lazy_gettext("What is it about?"))
    subject = StringField(lazy_gettext("In a few words"), [Length(max=SUBJECT)], filters=[one_line])
    about = SelectField(lazy_gettext("Which one?"))

    def validate_subject(self, field: StringField) -> None:
        if self.topic.data == Topic.OTHER and not field.data:
            raise ValidationError(_("Say in a few words what it is about"))


@bp.get("/inquiries", endpoint="inquiries")
def inquiries_list() -> Response:
    """List what was asked, the one written to last first."""
    found = query.own(runtime().session, customer().id, request.args.get("before", "")[:40])
    return page("inquiries", found=found, title=title)


@bp.route("/inquiries/new", methods=["GET", "POST"])
def new_inquiry() -> Response:
    """Ask something new; ``?about=`` names the subscription, box or invoice."""
    rt, me = runtime(), customer()
    if request.method == "GET":
        known = {"once": new_nonce(), "about": request.args.get("about", "")[:40], "topic": "box"}
        return _ask_page(InquiryForm(data=known))
    form = InquiryForm(request.form)
    _offer(form)
    if not form.validate():
        return page("new_inquiry", 422, form=form)
    if _is_too_often():
        return _ask_page(form, _too_often())
    question = inquiries.Question(
        Topic(form.topic.data),
        form.subject.data or "",
        form.text.data or "",
        form.once.data or new_nonce(),
        form.about.data or "",
    )
    ref = inquiries.ask(rt, me.id, me.public_id, question)
    text = _("Sent. We answer here and by e-mail.")
    return go(url_for("account.inquiry", inquiry=ref), text)


@bp.get("/inquiries/<inquiry>")
def inquiry(inquiry: str) -> Response:
    """Show one conversation."""
    return _talk_page(inquiry, ReplyForm(data={"once": new_nonce()}))


@bp.post("/inquiries/<inquiry>/reply")
def reply(inquiry: str) -> Response:
    """Write once more."""
    rt, me, form = runtime(), customer(), ReplyForm(request.form)
    if query.conversation(rt.session, inquiry, me.id) is None:
        abort(404)
    rt.session.rollback()
    if not form.validate():
        return _talk_page(inquiry, form, 422)
    if _is_too_often():
        return _talk_page(inquiry, form, 429, _too_often())
    try:
        inquiries.reply(
            rt, me.id, me.public_id, inquiry, form.text.data or "", form.once.data or new_nonce()
        )
    except InquiryNotFound:
        abort(404)
    except ConversationFull:
        text = _("This conversation is long enough. Please begin a new one.")
        return _talk_page(inquiry, form, 422, text)
    return go(url_for("account.inquiry", inquiry=inquiry), _("Sent. We answer here and by e-mail."))


def _ask_page(form: InquiryForm, problem: str = "") -> Response:
    _offer(form)
    return page("new_inquiry", _refused(429) if problem else 200, form=form, problem=problem)


def _talk_page(inquiry: str, form: ReplyForm, status: int = 200, problem: str = "") -> Response:
    rt = runtime()
    found = query.conversation(rt.session, inquiry, customer().id)
    if found is None:
        abort(404)
    about = about_name(found.about, _day) if found.about else ""
    values: dict[str, Any] = {"talk": found, "about": about, "title": title, "problem": problem}
    return page("inquiry", _refused(status), form=form, **values)


def _offer(form: InquiryForm) -> None:
    """Fill the lists with what there is to ask about."""
    form.topic.choices = list(topics().items())
    things = query.choices(runtime().session, customer().id)
    names = [(one.ref, about_name(one, _day)) for one in things]
    form.about.choices = [("", _("None of them")), *names]
    if form.about.data not in {ref for ref, _name in names}:
        # What is gone by now, or never was theirs, names nothing.
        form.about.data = ""


def _day(value: Any) -> str:
    return day(value, writing_locale(), runtime().today())


def _refused(status: int) -> int:
    """Return the status for a page; htmx swaps a 422 and leaves a 429 alone."""
    return 422 if status == 429 and wants_partial() else status


def _is_too_often() -> bool:
    return throttle(runtime(), "inquiry", customer().public_id, PER_HOUR, _HOUR) is not None


def _too_often() -> str:
    return _("That was too often. Nothing was sent. Try again in an hour.")
