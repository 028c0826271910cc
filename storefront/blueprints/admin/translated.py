"""Fields of a form for the same text in other languages than the shop's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wtforms import Field

from storefront.blueprints.admin.fields import LineField, LinesField
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import several_lines
from storefront.languages import CODES


def in_languages(form: type[Form], makes: Mapping[str, Callable[[], Any]]) -> None:
    """Give ``form`` a field ``part_language`` for each part and language."""
    for part, make in makes.items():
        for code in CODES:
            setattr(form, f"{part}_{code}", make())


def translations_of(form: Form, parts: Mapping[str, Any], shop_locale: str) -> dict[str, Any]:
    """Return what was typed, by language and part; what is empty is left out."""
    found = {
        code: {part: text for part in parts if (text := _typed(form[f"{part}_{code}"]))}
        for code in CODES
        if code != shop_locale
    }
    return {code: texts for code, texts in found.items() if texts}


def typed_translations(translations: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return what stands in the fields of a form for stored translations."""
    return {
        f"{part}_{code}": text if isinstance(text, str) else "\n".join(text)
        for code, texts in translations.items()
        for part, text in texts.items()
    }


def _typed(field: Field) -> Any:
    if isinstance(field, LinesField):
        return list(field.lines)
    return field.text if isinstance(field, LineField) else several_lines(field.data)
