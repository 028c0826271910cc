"""Recipes: what goes into the boxes of a plan, standing or for one cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.admin.base import who
from storefront.blueprints.admin.recipe_costs import Line, Sums, sums_of
from storefront.blueprints.admin.recipe_losses import Losing, losing_of
from storefront.blueprints.admin.recipe_rules import TypedRule, stored_rule, typed_rule
from storefront.blueprints.admin.recipe_words import scope_words, typed_scope, values_of
from storefront.blueprints.context import runtime
from storefront.domain import permissions as may
from storefront.domain.errors import DomainError
from storefront.domain.packing import answers_in
from storefront.domain.recipe_scopes import MOST_NUMBER, key_of, scope_of
from storefront.domain.recipe_scopes import Scope as RecipeScope
from storefront.htmx import go, show
from storefront.queries import recipes as queries
from storefront.queries.recipes import CycleFacts, IngredientRow, PlanFacts, Question
from storefront.queries.repeats import sent_before
from storefront.runtime import Runtime
from storefront.security import register_policy, staff
from storefront.services import packing
from storefront.services.packing import Ingredient
from storefront.templating import country_name

PAGE = "storefront/admin/recipes/editor.html"
FORM = "storefront/admin/recipes/_editor.html"
#: Most pieces of one variant, and most variants, in one box.
MOST_PIECES = 99
MOST_VARIANTS = 60
_FIELD = "pieces-"
_POOL = "choice-"

register_policy(
    dict.fromkeys(
        ("admin.recipes", "admin.recipe", "admin.save_recipe", "admin.copy_recipe"),
        staff(may.BOXES_MANAGE),
    )
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which recipe is edited."""

    plan: PlanFacts
    cycle: CycleFacts | None
    questions: Sequence[Question]
    #: Key of the boxes it is for, empty for every box.
    option: str
    #: Countries that can be named, by what they are called.
    countries: Sequence[str] = ()
    #: The highest number of a box that can be named.
    most: int = MOST_NUMBER

    @property
    def boxes(self) -> RecipeScope:
        """The boxes it is for."""
        return scope_of(self.option)

    @property
    def answers(self) -> frozenset[str]:
        """The answers it is for."""
        return answers_in(self.option)

    @property
    def values(self) -> dict[str, Any]:
        """The address's own part of the scope."""
        return self.values_of(self.option)

    def surcharge_of(self, option: str) -> int:
        """What a box with the answers in ``option`` costs more, in minor units."""
        key = answers_in(option)
        asked = [answer for question in self.questions for answer in question.answers]
        return sum(answer.surcharge_minor for answer in asked if answer.key in key)

    def values_of(self, option: str) -> dict[str, Any]:
        """The same of the recipe for other answers."""
        found: dict[str, Any] = {"cycle": self.cycle.public_id} if self.cycle else {}
        return found | values_of(scope_of(option))


@dataclass(frozen=True, slots=True)
class Written:
    """A recipe in the list of those that are stored."""

    #: In words, with what the address of its page says; None: an answer is not offered any more.
    name: str
    values: dict[str, Any] | None
    sums: Sums
    is_here: bool


class _Errors:
    """The form's errors for the summary: (field id, message)."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        self.form_errors: tuple[str, ...] = ()
        self._errors = errors

    def __iter__(self) -> Any:
        for field, text in self._errors:
            yield _FieldError(field, [text])


@dataclass(frozen=True, slots=True)
class _FieldError:
    id: str
    errors: list[str]
    type: str = "StringField"
    widget: object = None


def add_recipes(bp: Blueprint) -> None:
    """Add the recipe pages to the admin's blueprint."""
    bp.add_url_rule("/recipes", "recipes", overview)
    bp.add_url_rule("/recipes/<plan>", "recipe", edit)
    bp.add_url_rule("/recipes/<plan>", "save_recipe", save, methods=["POST"])
    bp.add_url_rule("/recipes/<plan>/copy", "copy_recipe", copy, methods=["POST"])


def overview() -> Response:
    """List the plans that ship."""
    rows = queries.recipe_plans(runtime().session)
    page = "storefront/admin/recipes/list.html"
    return show(page, page, plans=rows)


def edit(plan: str) -> Response:
    """Show a recipe as it is stored."""
    scope = _scope(plan)
    return _turned(scope) if scope.boxes.is_turned else _stored(scope)


def _stored(scope: Scope, losing: Losing | None = None) -> Response:
    rt = runtime()
    which = (scope.plan.id, scope.cycle.public_id if scope.cycle else None, scope.option)
    items = queries.recipe_items(rt.session, *which)
    pool, rule = queries.recipe_choice(rt.session, *which)
    lines = _lines({ref: str(pieces) for ref, pieces in items}, pool)
    stored = stored_rule(rule, _categories(lines), rt.shop.currency)
    return _page(scope, lines, rule=stored, losing=losing)


def _shown() -> str:
    """Return the token of what was said to fall out."""
    return request.form.get("shown", "")


def save(plan: str) -> Response:
    """Store the recipe, or show it with one more step of editing done."""
    scope = _scope(plan)
    if scope.boxes.is_turned:
        return _turned(scope)
    action, _colon, subject = request.form.get("do", "preview").partition(":")
    # Who chose a product and saves at once means it, too.
    chosen = "add" if action == "save" else action
    lines = _edited(_lines(_typed(), _ticked()), chosen, subject)
    rule = typed_rule(request.form, _categories(lines), runtime().shop.currency)
    if action != "save":
        status = 422 if any(line.error for line in lines) else 200
        return _page(scope, lines, status if action == "preview" else 200, rule=rule, is_draft=True)
    is_pool = any(line.is_choice and line.pieces for line in lines)
    if any(line.error for line in lines) or (is_pool and rule.rule is None):
        return _page(scope, lines, 422, rule=rule, is_draft=True)
    return _store(scope, lines, rule, is_pool=is_pool)


def _store(scope: Scope, lines: Sequence[Line], rule: TypedRule, *, is_pool: bool) -> Response:
    ingredients = [
        Ingredient(line.variant.public_id, line.pieces, line.is_choice)
        for line in lines
        if line.pieces
    ]
    cycle = scope.cycle.public_id if scope.cycle else None
    where = (runtime(), scope.plan.public_id, cycle, scope.option)
    told, chooses = 0, rule.rule if is_pool else None
    try:
        told = packing.save_recipe(*where, ingredients, who(), chooses, shown=_shown())
    except packing.UnknownInRecipe:
        abort(404)
    except packing.ChoicesFallOut as error:
        return _page(scope, lines, rule=rule, is_draft=True, losing=losing_of(error.gone))
    except DomainError as error:
        text = _refusal(scope, error)
        return _page(scope, lines, 422, rule=rule, is_draft=True, refused=text)
    text = _("Recipe saved.") if ingredients else _("Recipe removed.")
    if told:
        text += " " + ngettext("%(num)s subscriber is told.", "%(num)s subscribers are told.", told)
    return go(url_for("admin.recipe", plan=scope.plan.public_id, **scope.values), text)


def _refusal(scope: Scope, error: DomainError) -> str:
    """Say why a recipe is not stored."""
    if isinstance(error, packing.OverlappingRecipe):
        return _overlap(scope, error)
    if isinstance(error, packing.NothingToFill):
        return _("No choice can keep to these rules: there is too little to choose from.")
    if not isinstance(error, packing.TooManyAnswers):
        raise error
    return (
        _("These countries and answers are too many together. Leave some of them open.")
        if scope.boxes.countries
        else _("The codes of these answers are too long together. Leave one of them open.")
    )


def copy(plan: str) -> Response:
    """Copy the recipes of the last cycle that has any."""
    scope = _scope(plan)
    if scope.cycle is None:
        abort(404)
    if scope.boxes.is_turned:
        return _turned(scope)
    try:
        key = packing.copy_recipes(runtime(), plan, scope.cycle.public_id, who(), shown=_shown())
    except packing.ChoicesFallOut as error:
        return _stored(scope, losing_of(error.gone, by_copy=True))
    except packing.OverlappingRecipe as error:
        empty = stored_rule(None, (), runtime().shop.currency)
        return _page(scope, [], 422, rule=empty, refused=_overlap(scope, error))
    except DomainError:
        text = _("No earlier cycle has a recipe for this plan.")
        empty = stored_rule(None, (), runtime().shop.currency)
        return _page(scope, [], 422, rule=empty, refused=text)
    text = _("Copied from %(key)s.", key=key) if key else _("Copied from the standing recipe.")
    return go(url_for("admin.recipe", plan=plan, **scope.values), text)


def _turned(scope: Scope) -> Response:
    """Say beside the field that the boxes end before they begin; no recipe is for them."""
    empty = stored_rule(None, (), runtime().shop.currency)
    return _page(scope, [], 422, rule=empty)


def _overlap(scope: Scope, error: packing.OverlappingRecipe) -> str:
    """Say which recipe is for some of the same boxes."""
    return _(
        "Some boxes would fit this recipe and the one for “%(other)s” alike. Change the countries"
        " or the boxes of one of them.",
        other=_name_of(scope, error.option_key),
    )


def _name_of(scope: Scope, option: str) -> str:
    """Return in words which boxes the recipe with this key is for."""
    answers = answers_in(option)
    names = {
        answer.key: f"{question.name}: {answer.name}"
        for question in scope.questions
        for answer in question.answers
    }
    words = [word for key, word in names.items() if key in answers]
    return ", ".join([*words, *sorted(answers - names.keys()), *scope_words(scope_of(option))])


def _scope(plan: str) -> Scope:
    rt = runtime()
    facts = queries.plan_facts(rt.session, plan, rt.shop.currency)
    cycle_ref = request.values.get("cycle", "")
    cycle = None
    if facts is not None and cycle_ref:
        cycle = queries.cycle_for(rt.session, facts.group_id, cycle_ref, rt.today())
    questions = (
        [] if facts is None else queries.questions_of(rt.session, facts.id, rt.shop.currency)
    )
    rt.session.rollback()
    answers = frozenset(one for one in request.values.getlist("option") if one)
    boxes = typed_scope(request, answers)
    if facts is None or (cycle_ref and cycle is None) or not _are_asked(questions, answers):
        abort(404)
    if boxes is None:
        abort(404)
    countries = sorted({*rt.shop.countries, *boxes.countries}, key=country_name)
    return Scope(facts, cycle, questions, key_of(boxes), countries)


def _are_asked(questions: Sequence[Question], answers: AbstractSet[str]) -> bool:
    """Return whether each of ``answers`` is one to a question of its own."""
    of = [{one.key for one in question.answers} & answers for question in questions]
    return all(len(own) < 2 for own in of) and sum(map(len, of)) == len(answers)


def _written(rt: Runtime, scope: Scope) -> list[Written]:
    """Return the recipes of this cycle, or the standing ones, each with cost and margin."""
    cycle_ref = scope.cycle.public_id if scope.cycle else None
    found = queries.written_recipes(rt.session, scope.plan.id, cycle_ref)
    refs = sorted({ref for one in found for ref, _pieces, _is_choice in one.items})
    known = queries.ingredients(rt.session, refs)
    asked = {answer.key for question in scope.questions for answer in question.answers}
    rows = []
    for one in found:
        lines = [_line(known[ref], str(n), is_choice) for ref, n, is_choice in one.items]
        gone = answers_in(one.option_key) - asked
        rows.append(
            Written(
                _name_of(scope, one.option_key) or _("Every box"),
                None if gone else scope.values_of(one.option_key),
                sums_of(rt, scope.plan, lines, one.rule, scope.surcharge_of(one.option_key)),
                one.option_key == scope.option,
            )
        )
    return rows


def _typed() -> dict[str, str]:
    """Return what was typed by variant, in the order of the form; the buttons change one by one."""
    typed: dict[str, str] = {}
    for name, value in request.form.items(multi=True):
        if name.startswith(_FIELD) and not name.endswith(("-less", "-more")):
            typed[name.removeprefix(_FIELD)] = value
    for ref, value in typed.items():
        for ending, step in (("less", -1), ("more", 1)):
            if f"{_FIELD}{ref}-{ending}" in request.form and value.strip().isdecimal():
                typed[ref] = str(max(0, min(MOST_PIECES, int(value) + step)))
    return typed


def _ticked() -> frozenset[str]:
    """Return the variants that subscribers choose from."""
    return frozenset(name.removeprefix(_POOL) for name in request.form if name.startswith(_POOL))


def _lines(typed: Mapping[str, str], pool: AbstractSet[str] = frozenset()) -> list[Line]:
    rt = runtime()
    known = queries.ingredients(rt.session, list(typed)[:MOST_VARIANTS])
    rt.session.rollback()
    return [_line(known[ref], text, ref in pool) for ref, text in typed.items() if ref in known]


def _line(variant: IngredientRow, text: str, is_choice: bool) -> Line:
    plain = text.strip()
    pieces = int(plain) if plain.isdecimal() and len(plain) < 4 else -1
    if 0 <= pieces <= MOST_PIECES:
        return Line(variant, plain, pieces, "", is_choice)
    error = _("Enter a whole number from 0 to %(most)s", most=MOST_PIECES)
    return Line(variant, text, 0, error, is_choice)


def _categories(lines: Sequence[Line]) -> list[str]:
    return [line.variant.category for line in lines if line.is_choice]


def _edited(lines: list[Line], action: str, subject: str) -> list[Line]:
    """Return the lines after one step: added, removed, or moved up or down."""
    places = {line.variant.public_id: at for at, line in enumerate(lines)}
    if action == "add":
        wanted = request.form.get("add", "")
        pool = {wanted} if lines and all(line.is_choice for line in lines) else frozenset()
        fresh = _lines({wanted: "1"}, pool) if wanted and wanted not in places else []
        return [*lines, *fresh][:MOST_VARIANTS]
    at = places.get(subject)
    if at is None:
        return lines
    if action == "remove":
        return lines[:at] + lines[at + 1 :]
    to = {"up": at - 1, "down": at + 1}.get(action, at)
    if 0 <= to < len(lines):
        lines[at], lines[to] = lines[to], lines[at]
    return lines


def _again(scope: Scope, lines: Sequence[Line]) -> list[str]:
    """Name what of a cycle's fixed recipe was in the boxes before, with how many held it.

    The standing recipe is one and the same every time, and a pool has a rule against it.
    """
    if scope.cycle is None or scope.cycle.is_locked:
        return []
    sent = sent_before(runtime().session, scope.plan.id, scope.cycle.ship_from)
    fixed = [line.variant for line in lines if line.pieces and not line.is_choice]
    return [
        ngettext(
            "%(name)s (%(num)s box)",
            "%(name)s (%(num)s boxes)",
            sent[one.public_id],
            name=one.name,
        )
        for one in fixed
        if one.public_id in sent
    ]


def _turned_words(scope: Scope) -> list[str]:
    if not scope.boxes.is_turned:
        return []
    text = _("Choose box %(first)s or a later one, or leave it open", first=scope.boxes.first)
    return [text]


def _page(
    scope: Scope,
    lines: Sequence[Line],
    status: int = 200,
    *,
    rule: TypedRule,
    is_draft: bool = False,
    refused: str = "",
    losing: Losing | None = None,
) -> Response:
    rt = runtime()
    is_pool = any(line.is_choice for line in lines)
    turned = _turned_words(scope)
    errors = [("recipe-until", text) for text in turned]
    errors += [(f"{_FIELD}{one.variant.public_id}", one.error) for one in lines if one.error]
    if is_pool and status == 422:
        errors += list(rule.errors.items())
    elif is_pool:
        # Still being written: what is missing is said when it is saved.
        rule = replace(rule, errors={})
    chosen = {line.variant.public_id for line in lines}
    context = {
        "scope": scope,
        "lines": lines,
        "rule": rule if is_pool else None,
        "currency": rt.shop.currency,
        "sums": sums_of(rt, scope.plan, lines, rule.rule, scope.surcharge_of(scope.option)),
        "again": _again(scope, lines),
        "errors": _Errors(errors),
        "choices": [
            row for ref, row in queries.ingredients(rt.session).items() if ref not in chosen
        ],
        "cycles": queries.cycles_for(rt.session, scope.plan.group_id, rt.today()),
        "written": _written(rt, scope),
        "is_draft": is_draft,
        "turned": turned,
        "refused": refused,
        "losing": losing,
        "adding": request.form.get("add", ""),
        "most": MOST_PIECES,
        "page_has_errors": bool(errors) or bool(refused),
    }
    return show(PAGE, FORM, status, **context)
