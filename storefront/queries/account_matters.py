"""Of which matters of a customer there is anything to say: asked at once, before each is read.

Most have none of most, so a page that reads only what there is sends a few statements instead of
one for each matter. Source: docs/decisions/0242-statements-built-once.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.suggestions import SuggestionKind
from storefront.models import SuggestionDismissal
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.moment import Moment
from storefront.queries.account_notices import has_news, news_values
from storefront.queries.credit import has_credit
from storefront.queries.disputes import has_disputed
from storefront.queries.gifts import has_gifts
from storefront.queries.invoices import has_open_invoices, owed_values
from storefront.queries.methods import ending_values, has_ending_cards
from storefront.queries.replacements import has_resent
from storefront.queries.shortages import has_lacks

#: So long a box that was sent again is listed.
RESENT_SHOWN = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Matters:
    """False: there is nothing to read. True: there may be."""

    #: Kinds of suggestions that were put away.
    away: frozenset[SuggestionKind]
    owed: bool
    gifts: bool
    ending_cards: bool
    credit: bool
    resent: bool
    news: bool
    disputed: bool
    lacks: bool


def matters_alone(session: AnySession, values: Mapping[str, Any]) -> Matters:
    """Return the matters of ``values``; one statement, where no other asks along."""
    return matters_from(session.execute(_alone(), values).one())


def matters_from(row: AnyRow) -> Matters:
    """Return what a row of a statement says that has the columns of ``matters``."""
    found = row._mapping
    away = frozenset(kind for kind in SuggestionKind if found[f"away_{kind}"])
    return Matters(away, **{name: found[f"has_{name}"] for name in _NAMES})


def values_of(customer_id: int, moment: Moment) -> dict[str, Any]:
    """Return the parameters of ``matters``, and of what reads each of them."""
    return {
        "customer": customer_id,
        "resent_since": moment.today - RESENT_SHOWN,
        **news_values(moment),
        **ending_values(moment.today),
        **owed_values(customer_id, moment),
    }


_NAMES = ("owed", "gifts", "ending_cards", "credit", "resent", "news", "disputed", "lacks")


@cache
def _alone() -> AnySelect:
    return sa.select(matters())


def matters() -> sa.Subquery:
    """Return the one row of them, to be joined to whatever is asked anyway."""
    customer: sa.BindParameter[int] = sa.bindparam("customer", type_=sa.BigInteger())
    table = table_of(SuggestionDismissal)
    has = (
        has_open_invoices(customer),
        has_gifts(customer),
        has_ending_cards(customer),
        has_credit(customer),
        has_resent(customer),
        has_news(),
        has_disputed(customer),
        has_lacks(customer),
    )
    away = (
        sa.exists()
        .where(table.c.customer_id == customer, table.c.kind == kind)
        .label(f"away_{kind}")
        for kind in SuggestionKind
    )
    named = (one.label(f"has_{name}") for name, one in zip(_NAMES, has, strict=True))
    return sa.select(*named, *away).subquery("matters")
