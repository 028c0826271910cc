"""Say how many choices of subscribers fall out by a recipe that is about to be saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.operations.recipe_losses import Gone, token_of

#: Products that are named.
_MOST = 8


@dataclass(frozen=True, slots=True)
class Losing:
    """What is said, and the token that stands for it."""

    text: str
    #: Products with how many of their choosers lose them, the most first.
    products: tuple[str, ...]
    #: Products that are not named.
    others: int
    token: str
    #: Copying did it, and not what is typed.
    by_copy: bool = False


def losing_of(gone: Sequence[Gone], *, by_copy: bool = False) -> Losing:
    """Return the words for it."""
    people = len({one.chooser.subscription.id for one in gone})
    counts = Counter(name for one in gone for name, _pieces in one.pieces)
    text = ngettext(
        "Nothing is saved yet: %(num)s subscriber has chosen for a coming box what would not come.",
        "Nothing is saved yet: %(num)s subscribers have chosen for a coming box what would not"
        " come.",
        people,
    )
    products = tuple(
        _("%(product)s, chosen by %(count)s", product=name, count=number)
        for name, number in counts.most_common(_MOST)
    )
    return Losing(text, products, max(0, len(counts) - _MOST), token_of(gone), by_copy)
