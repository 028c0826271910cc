"""Pages and questions that a merchant writes: addresses, languages, limits.

Source: docs/decisions/0230-pages-and-questions-of-the-merchant.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from html import unescape
from types import MappingProxyType
from typing import Any

from storefront.domain.errors import DomainError

LONGEST_TITLE, LONGEST_SLUG, LONGEST_TEXT = 120, 60, 20_000
LONGEST_QUESTION, LONGEST_ANSWER = 160, 2_000
#: So many pages, and so many questions of the shop or of one plan.
MOST_PAGES, MOST_QUESTIONS = 60, 20
#: Where a page is linked from.
PLACES = ("footer", "header", "nowhere")
#: Characters of a page that search engines and shared links are told.
_SUMMARY = 155
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
#: A tag of HTML with its attributes; a "<" that begins none is a sign like any other.
_TAG = re.compile(r"</?[a-z][a-z0-9]*(?:\s+[a-z-]+=[^<>]*)?\s*/?>")
_NOTHING: Mapping[str, str] = MappingProxyType({})
#: What letters without a plain form are written as.
_SPELT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe"}
    | {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)


class SlugTaken(DomainError):
    """Another page has this address."""

    code = "slug_taken"


class TooMany(DomainError):
    """There are as many as a page can show."""

    code = "too_many"


def is_slug(text: str) -> bool:
    """Return whether ``text`` can end the address of a page.

    >>> is_slug("about-us"), is_slug("About us"), is_slug("-"), is_slug("")
    (True, False, False, False)
    """
    return len(text) <= LONGEST_SLUG and _SLUG.fullmatch(text) is not None


def slug_of(title: str) -> str:
    """Return an address for a page of this title; empty where nothing of it can stand in one.

    >>> slug_of("Über uns & unseren Tee"), slug_of("À propos"), slug_of("茶")
    ('ueber-uns-unseren-tee', 'a-propos', '')

    Markup and entities are no words:

    >>> slug_of("Terms & <b>law</b>"), slug_of("Tea &amp; Br&oslash;d"), slug_of("Tea <for two>")
    ('terms-law', 'tea-brod', 'tea-for-two')
    """
    words = _TAG.sub("", unescape(title).lower())
    spelt = unicodedata.normalize("NFC", words).translate(_SPELT)
    plain = unicodedata.normalize("NFKD", spelt).encode("ascii", "ignore").decode()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:LONGEST_SLUG].strip("-")


def in_language(
    texts: Mapping[str, Mapping[str, str]], locale: str, shop_locale: str
) -> tuple[str, Mapping[str, str]]:
    """Return the language and the texts for a reader: theirs, or else the shop's, or else any.

    >>> in_language({"en": {"title": "Hi"}, "de": {"title": "Hallo"}}, "fr", "de")
    ('de', {'title': 'Hallo'})
    """
    for code in (locale, shop_locale, *texts):
        if texts.get(code):
            return code, texts[code]
    return shop_locale, _NOTHING


def summary(plain: str) -> str:
    """Return the beginning of a text on one line, cut between two words.

    >>> summary("One two.  Three"), len(summary("word " * 99)) <= 156
    ('One two. Three', True)
    """
    line = " ".join(plain.split())
    if len(line) <= _SUMMARY:
        return line
    return line[: _SUMMARY + 1].rpartition(" ")[0].rstrip(".,;: ") + "…"


def link_of(slug: str, place: str, texts: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return what every page has to know of a page that is linked from it."""
    titles = {code: one.get("title", "") for code, one in texts.items()}
    return {"slug": slug, "place": place, "titles": titles}
