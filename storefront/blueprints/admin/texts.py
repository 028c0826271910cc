"""Forms with texts in several languages: the shop's own always, others where they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from storefront.blueprints.forms import Form
from storefront.templating import LANGUAGES


class TextsForm(Form):
    """A form whose fields ``part_language`` hold the parts of a text in each language."""

    #: Part -> what is said where it is missing. All of a language's parts are written, or none.
    PARTS: ClassVar[Mapping[str, Any]] = {}

    def texts(self) -> dict[str, dict[str, str]]:
        """Return the parts of each language that has some."""
        found = {
            code: {part: self[f"{part}_{code}"].data for part in self.PARTS}
            for code, _name in LANGUAGES
        }
        return {code: texts for code, texts in found.items() if any(texts.values())}

    def check_texts(self, shop_locale: str) -> bool:
        """Say beside the field where a part is missing; the shop's language has all of them."""
        is_whole, written = True, self.texts()
        for code, _name in LANGUAGES:
            if code != shop_locale and code not in written:
                continue
            for part, words in self.PARTS.items():
                if not written.get(code, {}).get(part):
                    self[f"{part}_{code}"].errors = [str(words)]
                    is_whole = False
        return is_whole


def typed_texts(texts: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what stands in the fields of a form for stored ``texts``."""
    return {f"{part}_{code}": words for code, one in texts.items() for part, words in one.items()}


def languages_of(shop_locale: str) -> list[tuple[str, str]]:
    """Return (code, name) of the languages, the shop's own first."""
    return sorted(LANGUAGES, key=lambda one: one[0] != shop_locale)
