"""The part of the recipe form that says how subscribers choose from its pool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask_babel import gettext as _

from storefront.blueprints.admin.fields import plain_money, read_money
from storefront.domain.choices import Limit, Rule
from storefront.domain.errors import DomainError
from storefront.domain.money import Money

#: Most pieces that are chosen for one box.
MOST_CHOSEN = 60
#: Most days before the cut-off on which somebody is reminded to choose.
MOST_DAYS = 14


@dataclass(frozen=True, slots=True)
class TypedLimit:
    """At least and at most of one category, as typed; ``number`` tells the fields apart."""

    number: int
    category: str
    least: str
    most: str

    @property
    def least_field(self) -> str:
        return f"least-{self.number}"

    @property
    def most_field(self) -> str:
        return f"most-{self.number}"


@dataclass(frozen=True, slots=True)
class TypedRule:
    """What was typed, and the rule it means; None while something is wrong with it."""

    pieces: str
    value: str
    limits: tuple[TypedLimit, ...]
    avoids: bool
    repeats: bool
    #: Days before the cut-off, as typed.
    remind: str
    #: Message by the id of its field.
    errors: Mapping[str, str]
    rule: Rule | None


def stored_rule(rule: Rule | None, categories: Iterable[str], currency: str) -> TypedRule:
    """Return the form of a rule that is stored, or an empty one."""
    if rule is None:
        limits = tuple(
            TypedLimit(number, name, "", "") for number, name in enumerate(_names(categories))
        )
        return TypedRule("", "", limits, True, False, "3", {}, None)
    known = {limit.category: limit for limit in rule.limits}
    names = _names([*categories, *known])
    shown = [
        TypedLimit(number, name, *_shown(known.get(name))) for number, name in enumerate(names)
    ]
    value = plain_money(Money(rule.value, currency)) if rule.value is not None else ""
    return TypedRule(
        str(rule.pieces),
        value,
        tuple(shown),
        rule.avoids_allergens,
        rule.never_repeats,
        str(rule.reminder_days),
        {},
        rule,
    )


def typed_rule(form: Mapping[str, str], categories: Iterable[str], currency: str) -> TypedRule:
    """Read the form; ``categories`` are those of the products that can be chosen."""
    errors: dict[str, str] = {}
    pieces_text = form.get("choose-pieces", "").strip()
    pieces = _number(pieces_text, 1)
    if pieces is None:
        errors["choose-pieces"] = _(
            "Enter how many are chosen: a whole number from 1 to %(most)s", most=MOST_CHOSEN
        )
    asked = {
        form[name]: (form.get(f"least-{name[9:]}", ""), form.get(f"most-{name[9:]}", ""))
        for name in form
        if name.startswith("category-")
    }
    typed = [
        TypedLimit(number, name, *asked.get(name, ("", "")))
        for number, name in enumerate(_names(categories))
    ]
    limits = [limit for one in typed if (limit := _limit(one, errors)) is not None]
    value_text = form.get("choose-value", "").strip()
    value = _value(value_text, currency, errors)
    avoids, repeats = "avoids" in form, "repeats" in form
    remind = form.get("choose-remind", "").strip() or "3"
    days = _number(remind, 0)
    if days is None or days > MOST_DAYS:
        errors["choose-remind"] = _("Enter a whole number from 0 to %(most)s", most=MOST_DAYS)
    rule = None
    if not errors and pieces is not None and days is not None:
        rule = Rule(pieces, tuple(limits), value, avoids, repeats, days)
    return TypedRule(pieces_text, value_text, tuple(typed), avoids, repeats, remind, errors, rule)


def _names(categories: Iterable[str]) -> list[str]:
    return sorted({name for name in categories if name})


def _shown(limit: Limit | None) -> tuple[str, str]:
    if limit is None:
        return "", ""
    return str(limit.least or ""), "" if limit.most is None else str(limit.most)


def _number(text: str, low: int) -> int | None:
    """Return a whole number from ``low`` to ``MOST_CHOSEN``, None for anything else."""
    if not (text.isdecimal() and text.isascii() and len(text) < 4):
        return None
    return int(text) if low <= int(text) <= MOST_CHOSEN else None


def _limit(typed: TypedLimit, errors: dict[str, str]) -> Limit | None:
    found: dict[str, int | None] = {}
    for field, text in ((typed.least_field, typed.least), (typed.most_field, typed.most)):
        found[field] = _number(text.strip(), 0) if text.strip() else None
        if text.strip() and found[field] is None:
            errors[field] = _("Enter a whole number from 0 to %(most)s", most=MOST_CHOSEN)
    least, most = found[typed.least_field] or 0, found[typed.most_field]
    if most is not None and most < least:
        errors[typed.most_field] = _("Enter at least the number beside it")
    return Limit(typed.category, least, most) if least or most is not None else None


def _value(text: str, currency: str, errors: dict[str, str]) -> int | None:
    if not text:
        return None
    try:
        value = read_money(text, currency).minor
    except (DomainError, ValueError):
        value = 0
    if value <= 0:
        errors["choose-value"] = _("Enter an amount above zero, or leave it empty")
        return None
    return value
