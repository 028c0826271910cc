"""What merchants write, in other languages than the shop's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

#: Language -> text in the shop's language -> the same in that language.
Words = Mapping[str, Mapping[str, str]]
_Text = str | Sequence[str]


def words_of(rows: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Words:
    """Return what each text is in each language, from (texts of a row, its translations).

    A text that stands in several rows is translated once: the last row says how. Lists go line by
    line; what is missing in a language is not there.

    >>> words_of([({"name": "Pot", "benefits": ["Tea", "Milk"]}, {"de": {"benefits": ["Tee"]}})])
    {'de': {'Tea': 'Tee'}}
    """
    words: dict[str, dict[str, str]] = {}
    for texts, translations in rows:
        for code, told in translations.items():
            for part, own in texts.items():
                for text, other in _lines(own, told.get(part)):
                    words.setdefault(code, {})[text] = other
    return words


def _lines(own: _Text, other: _Text | None) -> Iterator[tuple[str, str]]:
    if isinstance(own, str):
        pairs = [(own, other)] if isinstance(other, str) else []
    else:
        pairs = list(zip(own, other or (), strict=False))
    yield from ((text, told) for text, told in pairs if text and told)
