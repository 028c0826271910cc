"""Questions that are asked often, and their answers: written, ordered and taken away."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import Length

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.content import listed, preview, shown_field
from storefront.blueprints.admin.texts import TextsForm, languages_of, typed_texts
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import markdown_lines, one_line
from storefront.domain import permissions as may
from storefront.domain.content import LONGEST_ANSWER, LONGEST_QUESTION, TooMany, in_language
from storefront.htmx import go
from storefront.operations.catalogue import UnknownPlan
from storefront.queries import content as query
from storefront.queries.account_notices import plan_names
from storefront.security import register_policy, staff
from storefront.services import content as service
from storefront.templating import LANGUAGES, locale_code

register_policy(
    dict.fromkeys(
        ("admin.faq_new", "admin.faq", "admin.faq_up", "admin.faq_remove"),
        staff(may.SETTINGS_MANAGE),
    )
)


class QuestionForm(TextsForm):
    """Whose question it is; question and answer of each language are added below."""

    PARTS = {
        "question": lazy_gettext("Write the question"),
        "answer": lazy_gettext("Write the answer"),
    }

    plan = SelectField(lazy_gettext("Where does it stand?"))
    shown = shown_field()


for _code, _name in LANGUAGES:
    _question = StringField(_name, [Length(max=LONGEST_QUESTION)], filters=[one_line])
    _answer = TextAreaField(_name, [Length(max=LONGEST_ANSWER)], filters=[markdown_lines])
    setattr(QuestionForm, f"question_{_code}", _question)
    setattr(QuestionForm, f"answer_{_code}", _answer)


def add_faq(bp: Blueprint) -> None:
    """Add writing a question."""
    methods = ["GET", "POST"]
    address = "/content/questions/<ref>"
    bp.add_url_rule("/content/questions/new", "faq_new", new, methods=methods)
    bp.add_url_rule(address, "faq", edit, methods=methods)
    bp.add_url_rule(f"{address}/up", "faq_up", up, methods=["POST"])
    bp.add_url_rule(f"{address}/remove", "faq_remove", remove, methods=methods)


def new() -> Response:
    """Write a question."""
    return _form(None, {"shown": "public"})


def edit(ref: str) -> Response:
    """Change a question."""
    found = _found(ref)
    shown = "public" if found.is_public else "draft"
    return _form(found, {"plan": found.plan, "shown": shown, **typed_texts(found.texts)})


def up(ref: str) -> Response:
    """Ask it before the one in front of it."""
    try:
        service.move_question_up(runtime(), who(), ref)
    except service.ContentGone:
        abort(404)
    return saved(_("Moved up."), "content/content", url_for("admin.content"), **listed())


def remove(ref: str) -> Response:
    """Ask, and then take a question away for good."""
    found, rt = _found(ref), runtime()
    if request.method == "POST" and "sure" in request.form:
        try:
            service.remove_question(rt, who(), ref)
        except service.ContentGone:
            abort(404)
        return go(url_for("admin.content"), _("Removed."))
    _language, words = in_language(found.texts, locale_code(), rt.shop.locale)
    return page(
        "content/remove",
        question=_("Remove the question “%(question)s”?", question=words.get("question", "")),
        effect=_("Its answer goes with it, in every language. To hide it only, make it a draft."),
        action_url=url_for("admin.faq_remove", ref=ref),
        back_url=url_for("admin.faq", ref=ref),
    )


def _found(ref: str) -> query.QuestionRow:
    rt = runtime()
    found = query.question(rt.session, ref)
    rt.session.rollback()
    if found is None:
        abort(404)
    return found


def _form(found: query.QuestionRow | None, known: dict[str, Any]) -> Response:
    rt = runtime()
    is_sent = request.method == "POST"
    form = QuestionForm(request.form) if is_sent else QuestionForm(data=known)
    everywhere = _("On the pricing page and on every plan's")
    form.plan.choices = [("", everywhere), *plan_names(rt.session)]
    rt.session.rollback()
    if not is_sent:
        return _show(found, form)
    if "preview" in request.form:
        return _show(found, form, preview=preview(form.texts(), "question", "answer"))
    is_right = form.validate()
    if form.check_texts(rt.shop.locale) and is_right:
        return _save(found, form)
    return _show(found, form, 422)


def _save(found: query.QuestionRow | None, form: QuestionForm) -> Response:
    draft = service.QuestionDraft(form.texts(), form.shown.data == "public", form.plan.data or "")
    try:
        service.save_question(runtime(), who(), draft, found.ref if found else "")
    except TooMany:
        form.form_errors = [_("There is no room for more questions there. Remove one first.")]
        return _show(found, form, 422)
    except (service.ContentGone, UnknownPlan):
        abort(404)
    return go(url_for("admin.content"), _("Saved."))


def _show(
    found: query.QuestionRow | None, form: QuestionForm, status: int = 200, preview: Any = None
) -> Response:
    shop_locale = runtime().shop.locale
    return page(
        "content/question",
        status,
        found=found,
        form=form,
        preview=preview,
        languages=languages_of(shop_locale),
        shop_locale=shop_locale,
    )
