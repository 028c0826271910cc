"""Questions about the box of a plan: asked, answered, renamed, taken away."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, abort, request
from flask_babel import gettext as _

from storefront.blueprints.admin.base import who
from storefront.blueprints.admin.plan_forms import (
    NAMES,
    NameForm,
    OptionForm,
    QuestionForm,
    SurchargeForm,
    slug_of,
)
from storefront.blueprints.admin.plan_page import act_on, show_plan, show_wrong
from storefront.blueprints.admin.translated import translations_of
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.operations.catalogue import UnknownPlan
from storefront.security import register_policy, staff
from storefront.services import options

_ACCESS = staff(permissions.PLANS_MANAGE)
register_policy(
    {
        f"admin.{name}": _ACCESS
        for name in (
            "plan_question",
            "plan_question_name",
            "plan_option",
            "plan_option_change",
            "plan_option_name",
            "plan_option_price",
        )
    }
)


def add_questions(bp: Blueprint) -> None:
    """Add what is sent from the questions of a plan's page."""
    posts: dict[str, tuple[str, Callable[..., Response]]] = {
        "questions": ("plan_question", add_question),
        "questions/<question>": ("plan_option", add_option),
        "questions/<question>/<option>": ("plan_option_change", change_option),
        "questions/<question>/<option>/name": ("plan_option_name", rename_option),
        "questions/<question>/<option>/price": ("plan_option_price", price_option),
        # Apart: an answer may be called "name".
        "question-names/<question>": ("plan_question_name", rename_question),
    }
    for path, (endpoint, view) in posts.items():
        bp.add_url_rule(f"/plans/<ref>/{path}", endpoint, view, methods=["POST"])


def add_question(ref: str) -> Response:
    """Ask something about the box."""
    form = QuestionForm(request.form)
    if not form.validate():
        return show_wrong(ref, question=form)
    name = form.question.text
    try:
        options.add_question(runtime(), who(), ref, slug_of(name), name)
    except options.OptionExists:
        form.question.errors = [_("This plan asks that already")]
        return show_wrong(ref, question=form)
    except UnknownPlan:
        abort(404)
    return show_plan(ref, _("Now add the answers; without them nothing is asked."))


def add_option(ref: str, question: str) -> Response:
    """Add an answer to a question."""
    rt = runtime()
    form = OptionForm(request.form, rt.shop.currency, prefix=f"{question}-")
    if not form.validate():
        return show_wrong(ref, answers={question: form})
    name = form.option.text
    try:
        options.add_option(rt, who(), ref, question, slug_of(name), name, form.surcharge.money)
    except options.OptionExists:
        form.option.errors = [_("This question has that answer already")]
        return show_wrong(ref, answers={question: form})
    except (UnknownPlan, options.UnknownOption):
        abort(404)
    return show_plan(ref, _("Added."))


def change_option(ref: str, question: str, option: str) -> Response:
    """Offer an answer no more, or again."""
    archived = request.form.get("archived") == "yes"

    def act() -> str:
        options.archive_option(runtime(), who(), ref, question, option, archived=archived)
        return _("No longer offered.") if archived else _("Offered again.")

    return act_on(ref, act)


def price_option(ref: str, question: str, option: str) -> Response:
    """Change what an answer costs, from each subscriber's next payment on."""
    rt, key = runtime(), f"{question}.{option}"
    form = SurchargeForm(request.form, rt.shop.currency, prefix=f"{key}-")
    if not form.validate():
        return show_wrong(ref, surcharges={key: form})

    def act() -> str:
        options.save_option(rt, who(), ref, question, option, form.surcharge.money)
        return _("Saved. It counts from each subscriber's next payment on.")

    return act_on(ref, act)


def rename_question(ref: str, question: str) -> Response:
    """Give a question another name."""
    form = NameForm(request.form, question)
    taken = _("This plan asks that already")
    return _rename(
        ref,
        question,
        form,
        taken,
        lambda name, told: options.rename_question(runtime(), who(), ref, question, name, told),
    )


def rename_option(ref: str, question: str, option: str) -> Response:
    """Give an answer another name; who has it keeps it."""
    key = f"{question}.{option}"
    form = NameForm(request.form, key)
    taken = _("This question has that answer already")
    return _rename(
        ref,
        key,
        form,
        taken,
        lambda name, told: options.rename_option(
            runtime(), who(), ref, question, option, name, told
        ),
    )


def _rename(
    ref: str,
    key: str,
    form: NameForm,
    taken: str,
    rename: Callable[[str, options.Names], options.SavedName],
) -> Response:
    if not form.validate():
        return show_wrong(ref, names={key: form})
    try:
        told = translations_of(form, NAMES, runtime().shop.locale)
        saved = rename(form.name.text, {code: texts["name"] for code, texts in told.items()})
    except options.OptionExists:
        form.name.errors = [taken]
        return show_wrong(ref, names={key: form})
    except (UnknownPlan, options.UnknownOption):
        abort(404)
    if saved == "same":
        return show_plan(ref, _("Nothing to save: it is all as before."))
    if saved == "translated":
        return show_plan(ref, _("Saved."))
    return show_plan(ref, _("Renamed; who has an answer keeps it."))
