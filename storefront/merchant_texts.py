"""What a merchant wrote, in the language of who reads it.

Source: docs/decisions/0233-texts-of-merchants-in-several-languages.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from flask import current_app

from storefront.domain.translations import Words
from storefront.queries import mails
from storefront.queries.contents import Piece
from storefront.queries.mails import SubscriptionFacts
from storefront.queries.translations import merchant_words
from storefront.rendering import reader_locale
from storefront.runtime import Runtime

_KEPT = "storefront_merchant_words"
#: What of a mail's payload holds names: of plans, of products, or lists of either.
NAMES_IN_MAILS = (
    "plan",
    "products",
    "lost",
    "instead",
    "lacks",
    "left_out",
    "unwanted",
    "holds",
)
Text = TypeVar("Text", str, None)


def said(text: Text) -> Text:
    """Return a text of the merchant's in the reader's language; untranslated as it is.

    In the shop's own language nothing is asked. Else the texts are read once for each version of
    the catalogue, and kept.
    """
    rt = cast("Runtime", current_app.extensions["storefront"])
    locale = reader_locale()
    code = locale.language if locale else "en"
    if not text or code == rt.shop.locale.partition("-")[0]:
        return text
    return _words(rt).get(code, {}).get(text, text)


def said_piece(piece: Piece) -> str:
    """Return a product of a box with its number, in the reader's language: ``2 × Malty Assam``."""
    name = said(piece.name)
    return f"{piece.pieces} × {name}" if piece.pieces > 1 else name


def said_list(text: str) -> str:
    """Return names with commas between in the reader's language; a name may hold a comma."""
    whole = said(text)
    return whole if whole != text else ", ".join(said(one) for one in text.split(", "))


def said_in_mail(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a mail is about, with the merchant's names in the reader's language."""
    return {
        key: _said_within(value) if key in NAMES_IN_MAILS else value
        for key, value in payload.items()
    }


def _said_within(value: Any) -> Any:
    if isinstance(value, str):
        return said_list(value)
    return [_said_within(one) for one in value] if isinstance(value, (list, tuple)) else value


def subscription_facts(session: Any, ref: str) -> SubscriptionFacts | None:
    """Return what mails say of a subscription, its plan in the reader's language."""
    facts = mails.subscription_facts(session, ref)
    return replace(facts, plan=said(facts.plan)) if facts else None


def _words(rt: Runtime) -> Words:
    version, words = current_app.extensions.get(_KEPT, (None, {}))
    if version == rt.shop.catalogue_version:
        return cast("Words", words)
    # Whoever had no transaction open has none afterwards.
    was_reading = rt.session().in_transaction()
    version, words = rt.shop.catalogue_version, merchant_words(rt.session)
    if not was_reading:
        rt.session.rollback()
    current_app.extensions[_KEPT] = (version, words)
    return words
