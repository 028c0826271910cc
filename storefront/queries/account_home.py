"""The account's first page: all subscriptions of a customer, and what else there is to say.

Source: docs/decisions/0261-what-there-is-to-say-asked-at-once.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.lifecycle import ENDED
from storefront.domain.money import Money
from storefront.domain.shipping import Delivery
from storefront.domain.tax_treatment import TaxRules
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations.addons import addons_statement
from storefront.operations.box_addresses import given_from, given_statement
from storefront.operations.coming_rows import coming_rows
from storefront.operations.discounts import discounts_statement
from storefront.operations.keys import AnyRow, AnySelect, by_subscription
from storefront.operations.moment import Moment
from storefront.operations.shipping import read_delivery
from storefront.operations.skips import boxes_statement, with_boxes
from storefront.operations.terms import options_statement, texts_from
from storefront.operations.together import Part, ask_together
from storefront.queries.account import SubscriptionView, is_shown, packed_of, views_of
from storefront.queries.account_matters import (
    Matters,
    matters,
    matters_alone,
    matters_from,
    values_of,
)
from storefront.queries.account_notices import News, news_from, news_statement
from storefront.queries.credit import balances, balances_from
from storefront.queries.disputes import HeldBy, disputed, won_from
from storefront.queries.gifts import OwnGifts, of_customer, own_from
from storefront.queries.invoices import Owed, open_invoices, owed_from
from storefront.queries.methods import EndingCard, ending_cards, ending_from
from storefront.queries.next_payment import Costs
from storefront.queries.replacements import Resent, resent, resent_from
from storefront.queries.shortages import lacks_from, lacks_statement

_Rows = Mapping[str, list[AnyRow]]


@dataclass(frozen=True, slots=True)
class Home:
    """The account's first page: soonest box first; ended subscriptions last."""

    subscriptions: tuple[SubscriptionView, ...]
    owed: Owed | None
    gifts: OwnGifts
    #: Cards that pay for something and end soon.
    ending: tuple[EndingCard, ...]
    #: What is left of the credit, by currency.
    credit: tuple[Money, ...]
    #: Boxes that are sent again, and disputes that were won and wait, by subscription.
    resent: Mapping[str, list[Resent]]
    won: Mapping[str, HeldBy]
    news: News
    #: Of what else there is anything to be read.
    matters: Matters


def home(
    session: AnySession,
    customer_id: int,
    moment: Moment,
    taxes: TaxRules,
    delivery: Delivery | None = None,
) -> Home:
    """Return everything the first page shows, and what else there is.

    Four statements whatever there is to say and however much: the subscriptions; what hangs on
    them and on the customer; cycles; what is in the boxes. More only where a recipe allows swaps
    or holds what somebody does not tolerate. Without ``delivery`` it is read.
    """
    values = values_of(customer_id, moment)
    rows = session.execute(_of_customer(), values).all()
    has = matters_from(rows[0]) if rows else matters_alone(session, values)
    values |= {
        "ids": [row.id for row in rows],
        "of_plans": sorted({row.plan_id for row in rows if row.options}),
    }
    said = ask_together(session, {**_of_subscriptions(rows), **_of_matters(has)}, values)
    views = _views(session, rows, said, moment, taxes, delivery)
    return Home(
        tuple(sorted(views, key=_soonest)),
        owed_from(said.get("owed", ())),
        own_from(said.get("gifts", ()), customer_id),
        tuple(ending_from(said.get("ending", ()), moment.today)),
        balances_from(said.get("credit", ())),
        resent_from(said.get("resent", ())),
        won_from(said.get("disputed", ())),
        news_from(said.get("news", ())),
        has,
    )


@cache
def _of_customer() -> AnySelect:
    """The subscriptions of a ``customer``, each beside what else there is of them; built once."""
    table, beside = table_of(Subscription), matters()
    return (
        coming_rows()
        .add_columns(*beside.c)
        .join(beside, sa.true())
        .where(table.c.customer_id == sa.bindparam("customer"), is_shown(table))
    )


def _of_subscriptions(rows: Sequence[AnyRow]) -> dict[str, Part]:
    """Return what is asked about the subscriptions ``rows``, as far as they have any of it."""
    if not rows:
        return {}
    has = {
        "boxes": (True, boxes_statement),
        "discounts": (any(_is_lowered(row) for row in rows), discounts_statement),
        "options": (any(row.options for row in rows), options_statement),
        "addons": (any(row.has_addons for row in rows), addons_statement),
        "given": (any(row.has_given_addresses for row in rows), given_statement),
        "lacks": (bool(rows[0].has_lacks), lacks_statement),
    }
    return {name: statement() for name, (is_there, statement) in has.items() if is_there}


def _of_matters(has: Matters) -> dict[str, Part]:
    """Return what is asked about the customer, as far as there is any of it."""
    asked: dict[str, tuple[bool, Any]] = {
        "owed": (has.owed, open_invoices),
        "gifts": (has.gifts, of_customer),
        "ending": (has.ending_cards, ending_cards),
        "credit": (has.credit, balances),
        "resent": (has.resent, resent),
        "news": (has.news, news_statement),
        "disputed": (has.disputed, disputed),
    }
    return {name: statement() for name, (is_there, statement) in asked.items() if is_there}


def _views(
    session: AnySession,
    rows: Sequence[AnyRow],
    said: _Rows,
    moment: Moment,
    taxes: TaxRules,
    delivery: Delivery | None,
) -> list[SubscriptionView]:
    if not rows:
        return []
    found = with_boxes(session, rows, moment.today, by_subscription(said["boxes"]))
    lowered = {row.id for row in rows if _is_lowered(row)}
    discounts = by_subscription(said.get("discounts", ()))
    costs = Costs(
        {key: own for key, own in discounts.items() if key in lowered},
        texts_from(said.get("options", ())),
        delivery or read_delivery(session),
        taxes,
        by_subscription(said.get("addons", ())),
    )
    given = given_from(said.get("given", ()))
    lacks = lacks_from(said.get("lacks", ()), packed_of(found))
    return views_of(session, found, moment, costs, given, lacks)


def _is_lowered(row: AnyRow) -> bool:
    return bool(row.has_discounts) and row.state not in ENDED


def _soonest(view: SubscriptionView) -> tuple[bool, date, str]:
    day = view.next_box.ship_from if view.next_box else None
    return view.is_ended and not view.next_box, day or date.max, view.public_id
