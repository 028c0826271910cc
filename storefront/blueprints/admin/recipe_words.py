"""For which boxes a recipe is, as the editor asks it and says it."""

from __future__ import annotations

import re
from typing import Any

from flask import Request
from flask_babel import gettext as _

from storefront.domain.recipe_scopes import MOST_NUMBER, Scope
from storefront.formats import listing
from storefront.templating import country_name, writing_locale


def scope_words(scope: Scope) -> list[str]:
    """Return countries and boxes that ``scope`` names in words, none for every box."""
    words = []
    if scope.countries:
        names = sorted(country_name(code) for code in scope.countries)
        words.append(_("to %(countries)s", countries=listing(names, writing_locale())))
    if scope.names_boxes:
        words.append(_boxes(scope.first, scope.last))
    return words


def _boxes(first: int, last: int | None) -> str:
    if last is None:
        return _("from box %(first)s on", first=first)
    if first == last:
        return _("first box") if first == 1 else _("box %(first)s", first=first)
    return _("boxes %(first)s to %(last)s", first=first, last=last)


def typed_scope(request: Request, answers: frozenset[str]) -> Scope | None:
    """Return what the address asks for beside ``answers``, None where it says nothing we know.

    Boxes that end before they begin stay as they were typed.
    """
    countries = frozenset(code for code in request.values.getlist("to") if code)
    first, last = (_number(request.values.get(name, "")) for name in ("from", "until"))
    if first is None or last is None or not all(map(_is_country, countries)):
        return None
    return Scope(answers, countries, first or 1, last or None)


def _is_country(code: str) -> bool:
    return bool(re.fullmatch("[A-Z]{2}", code))


def _number(text: str) -> int | None:
    """Return the number typed, 0 for none, None for what is no number of a box."""
    if not text:
        return 0
    found = int(text) if re.fullmatch(r"[1-9]\d?", text, re.ASCII) else 0
    return found if 1 <= found <= MOST_NUMBER else None


def values_of(scope: Scope) -> dict[str, Any]:
    """Return the address's own part of ``scope``; ``typed_scope`` and answers read it again."""
    found: dict[str, Any] = {"option": sorted(scope.answers)} if scope.answers else {}
    if scope.countries:
        found["to"] = sorted(scope.countries)
    if scope.names_boxes:
        found["from"] = scope.first
        found |= {"until": scope.last} if scope.last is not None else {}
    return found
