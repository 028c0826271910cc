"""The right of withdrawal in words: how long it lasts, and from what nobody may withdraw."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from flask import current_app
from flask_babel import get_locale
from flask_babel import gettext as _

from storefront.domain.declarations import Exclusion, links_withdrawal
from storefront.formats import listing, writing_locale
from storefront.merchant_texts import said
from storefront.queries.contents import Piece
from storefront.queries.withdrawal import Excluded


def right_words(
    days: int, reasons: Collection[Exclusion], *, ships: bool, again: bool = False
) -> str:
    """Return how long somebody may withdraw from an order, and from what not.

    ``again`` where the right begins anew at the end of a free trial.
    """
    if ships:
        words = _(
            "within %(days)s days of the first box's arrival, without giving a reason.", days=days
        )
    else:
        words = _("within %(days)s days of your order, without giving a reason.", days=days)
    more = ""
    if again:
        more = _(
            "After a free trial you may withdraw once more, within %(days)s days of its end.",
            days=days,
        )
    return " ".join(filter(None, [words, more, not_for(reasons)]))


def not_for(reasons: Collection[Exclusion]) -> str:
    """Return what the right does not hold for; empty where it holds for all."""
    kinds = {
        Exclusion.SEALED: _("sealed things that were opened, for health or hygiene"),
        Exclusion.PERISHABLE: _("things that spoil quickly"),
        Exclusion.PERSONAL: _("things made to your wishes"),
    }
    named = [words for reason, words in kinds.items() if reason in reasons]
    if not named:
        return ""
    return _("It does not hold for: %(list)s.", list=_listed(named))


def excluded_words(excluded: Iterable[Excluded]) -> str:
    """Return products with why nobody may withdraw from each: ``Mango (spoils quickly)``."""
    why = {
        Exclusion.SEALED.value: _("sealed: not once it was opened"),
        Exclusion.PERISHABLE.value: _("spoils quickly"),
        Exclusion.PERSONAL.value: _("made to order"),
    }
    named = [f"{said(name)} ({why.get(reason, reason)})" for name, reason in excluded]
    return _listed(named)


def excluded_note(pieces: Iterable[Piece]) -> str:
    """Return what of a box nobody may withdraw from; empty where no law gives the right anyway."""
    rt = current_app.extensions["storefront"]
    found = [(piece.name, piece.no_withdrawal) for piece in pieces if piece.no_withdrawal]
    if not found or not links_withdrawal(rt.shop.countries or ()):
        return ""
    return _("No right of withdrawal: %(list)s", list=excluded_words(found))


def _listed(words: list[str]) -> str:
    return listing(words, writing_locale(str(get_locale() or "en")))


def exclusion_choices() -> list[tuple[str, str]]:
    """Return what a merchant chooses from for a product."""
    return [
        ("", _("They may withdraw from it")),
        (Exclusion.SEALED.value, _("Not once opened: sealed for health or hygiene")),
        (Exclusion.PERISHABLE.value, _("Not: it spoils quickly")),
        (Exclusion.PERSONAL.value, _("Not: it is made to their wishes")),
    ]
