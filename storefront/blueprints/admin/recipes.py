"""Recipes: what goes into the boxes of a plan, standing or for one cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, cast

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import who
from storefront.blueprints.admin.recipe_rules import TypedRule, stored_rule, typed_rule
from storefront.blueprints.context import runtime
from storefront.domain import permissions as may
from storefront.domain.choices import PoolItem, Rule, fill
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.domain.rates import TaxClass
from storefront.domain.tax_treatment import Place
from storefront.domain.taxes import tax_of
from storefront.htmx import go, show
from storefront.queries import recipes as queries
from storefront.queries.recipes import CycleFacts, IngredientRow, PlanFacts
from storefront.runtime import Runtime
from storefront.security import register_policy, staff
from storefront.services import packing
from storefront.services.packing import Ingredient

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
class Line:
    """One ingredient as typed."""

    variant: IngredientRow
    typed: str
    pieces: int
    error: str
    #: Subscribers choose it; ``pieces`` is then the most of it in one box.
    is_choice: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Which recipe is edited."""

    plan: PlanFacts
    cycle: CycleFacts | None
    option: str

    @property
    def values(self) -> dict[str, Any]:
        """The address's own part of the scope."""
        found = {"cycle": self.cycle.public_id if self.cycle else "", "option": self.option}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Sums:
    """What one box costs and brings in; None where a price or a cost is not known.

    Of a box that is chosen: as the default rule fills it, and ``dearest`` at most.
    """

    cost: Money
    dearest: Money | None
    unknown_costs: int
    net: Money | None
    margin: int | None
    weight_grams: int


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
    scope, rt = _scope(plan), runtime()
    which = (scope.plan.id, scope.cycle.public_id if scope.cycle else None, scope.option)
    items = queries.recipe_items(rt.session, *which)
    pool, rule = queries.recipe_choice(rt.session, *which)
    lines = _lines({ref: str(pieces) for ref, pieces in items}, pool)
    return _page(scope, lines, rule=stored_rule(rule, _categories(lines), rt.shop.currency))


def save(plan: str) -> Response:
    """Store the recipe, or show it with one more step of editing done."""
    scope = _scope(plan)
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
    ingredients = [
        Ingredient(line.variant.public_id, line.pieces, line.is_choice)
        for line in lines
        if line.pieces
    ]
    cycle = scope.cycle.public_id if scope.cycle else None
    where = (runtime(), scope.plan.public_id, cycle, scope.option)
    try:
        packing.save_recipe(*where, ingredients, who(), rule.rule if is_pool else None)
    except packing.UnknownInRecipe:
        abort(404)
    except packing.NothingToFill:
        text = _("No choice can keep to these rules: there is too little to choose from.")
        return _page(scope, lines, 422, rule=rule, is_draft=True, refused=text)
    text = _("Recipe saved.") if ingredients else _("Recipe removed.")
    return go(url_for("admin.recipe", plan=plan, **scope.values), text)


def copy(plan: str) -> Response:
    """Copy the recipes of the last cycle that has any."""
    scope = _scope(plan)
    if scope.cycle is None:
        abort(404)
    try:
        key = packing.copy_recipes(runtime(), plan, scope.cycle.public_id, who())
    except DomainError:
        text = _("No earlier cycle has a recipe for this plan.")
        empty = stored_rule(None, (), runtime().shop.currency)
        return _page(scope, [], 422, rule=empty, refused=text)
    text = _("Copied from %(key)s.", key=key) if key else _("Copied from the standing recipe.")
    return go(url_for("admin.recipe", plan=plan, **scope.values), text)


def _scope(plan: str) -> Scope:
    rt = runtime()
    facts = queries.plan_facts(rt.session, plan)
    cycle_ref = request.values.get("cycle", "")
    cycle = None
    if facts is not None and cycle_ref:
        cycle = queries.cycle_for(rt.session, facts.group_id, cycle_ref, rt.today())
    option = request.values.get("option", "")
    known = (
        {""} if facts is None else {"", *(s.key for s in queries.scopes_of(rt.session, facts.id))}
    )
    rt.session.rollback()
    if facts is None or (cycle_ref and cycle is None) or option not in known:
        abort(404)
    return Scope(facts, cycle, option)


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


def _page(
    scope: Scope,
    lines: Sequence[Line],
    status: int = 200,
    *,
    rule: TypedRule,
    is_draft: bool = False,
    refused: str = "",
) -> Response:
    rt = runtime()
    is_pool = any(line.is_choice for line in lines)
    errors = [(f"{_FIELD}{one.variant.public_id}", one.error) for one in lines if one.error]
    if is_pool and status == 422:
        errors += list(rule.errors.items())
    elif is_pool:
        # Still being written: what is missing is said when it is saved.
        rule = replace(rule, errors={})
    chosen = {line.variant.public_id for line in lines}
    cycle_ref = scope.cycle.public_id if scope.cycle else None
    context = {
        "scope": scope,
        "lines": lines,
        "rule": rule if is_pool else None,
        "currency": rt.shop.currency,
        "sums": _sums(rt, scope.plan, lines, rule.rule),
        "errors": _Errors(errors),
        "choices": [
            row for ref, row in queries.ingredients(rt.session).items() if ref not in chosen
        ],
        "cycles": queries.cycles_for(rt.session, scope.plan.group_id, rt.today()),
        "options": queries.scopes_of(rt.session, scope.plan.id),
        "written": queries.written_scopes(rt.session, scope.plan.id, cycle_ref),
        "is_draft": is_draft,
        "refused": refused,
        "adding": request.form.get("add", ""),
        "most": MOST_PIECES,
        "page_has_errors": bool(errors) or bool(refused),
    }
    return show(PAGE, FORM, status, **context)


def _sums(rt: Runtime, plan: PlanFacts, lines: Sequence[Line], rule: Rule | None) -> Sums:
    """Return cost of one box, its price without tax, and the margin in whole percent.

    There is no margin while the cost of anything in it is not known: it would look better
    than it is.
    """
    packed = _packed(lines, rule)
    used = [line for line in lines if packed.get(line.variant.public_id)]
    known = [line for line in used if line.variant.cost is not None]
    currency = rt.shop.currency
    cost = sum(
        line.variant.cost.minor * packed[line.variant.public_id]
        for line in known
        if line.variant.cost
    )
    net = _net(rt, plan)
    margin = None
    is_known = len(known) == len(used)
    if is_known and net is not None and net.minor and net.currency == currency:
        margin = int(Decimal(100 * (net.minor - cost) / Decimal(net.minor)).to_integral_value())
    weight = sum(line.variant.weight_grams * packed[line.variant.public_id] for line in used)
    dearest = Money(_dearest(lines, rule), currency) if rule else None
    return Sums(Money(cost, currency), dearest, len(used) - len(known), net, margin, weight)


def _packed(lines: Sequence[Line], rule: Rule | None) -> dict[str, int]:
    """Return the pieces of one box by variant, as the default rule fills it from its pool."""
    packed = {line.variant.public_id: line.pieces for line in lines if not line.is_choice}
    pool = [line for line in lines if line.is_choice and line.pieces]
    if rule is None or not pool:
        return packed
    items = [
        PoolItem(
            number,
            line.pieces,
            line.variant.category,
            line.variant.price.minor if line.variant.price else 0,
        )
        for number, line in enumerate(pool)
    ]
    filled = fill(rule, items, {}, {})
    for number, pieces in (filled.picks if filled else {}).items():
        packed[pool[number].variant.public_id] = pieces
    return packed


def _dearest(lines: Sequence[Line], rule: Rule | None) -> int:
    """Return what a box costs at most, its limits by category and value left aside."""
    fixed = sum(
        line.variant.cost.minor * line.pieces
        for line in lines
        if line.variant.cost and not line.is_choice
    )
    costs = [
        line.variant.cost.minor
        for line in lines
        if line.variant.cost and line.is_choice
        for _piece in range(line.pieces)
    ]
    return fixed + sum(sorted(costs, reverse=True)[: rule.pieces if rule else 0])


def _net(rt: Runtime, plan: PlanFacts) -> Money | None:
    price = plan.box_price
    if price is None or not plan.is_inclusive:
        return price
    try:
        place, kind = Place(rt.shop.seller_country), cast(TaxClass, plan.tax_class)
        rate, _source = rt.shop.taxes.rate(place, kind, rt.today())
    except DomainError:
        return price
    return Money(price.minor - tax_of(price, rate, inclusive=True).minor, price.currency)
