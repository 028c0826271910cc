"""Read what decides about tax, and say on the document what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, cast

import sqlalchemy as sa

from storefront.domain.invoices import InvoiceState
from storefront.domain.rates import TaxClass
from storefront.domain.recurring import PricedPeriod
from storefront.domain.tax_treatment import (
    Buyer,
    OwnRate,
    Place,
    Sale,
    Taxed,
    TaxIdState,
    TaxRules,
    Treatment,
)
from storefront.domain.taxes import Rounding
from storefront.models import Checkout, Customer, Invoice, Subscription, TaxRate
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment


def own_rate_columns() -> tuple[sa.ColumnElement[Any], ...]:
    """The columns of ``tax_rate`` that ``rules_of`` reads, for a row of the shop beside each."""
    table = table_of(TaxRate)
    names = ("country", "region", "tax_class", "since_on", "rate_bp")
    return tuple(table.c[name].label(f"own_{name}") for name in names)


def rules_of(rows: Sequence[AnyRow], seller_country: str, rounding: str) -> TaxRules:
    """Return the rules of the shop; ``rows`` have ``own_rate_columns``, empty where none is."""
    own = [
        OwnRate(
            row.own_country,
            row.own_region,
            row.own_tax_class,
            row.own_since_on,
            Decimal(row.own_rate_bp).scaleb(-2),
        )
        for row in rows
        if row.own_country is not None
    ]
    return TaxRules.of(seller_country, cast(Rounding, rounding), own)


def buyer_columns(
    payer: sa.FromClause, subscription: sa.FromClause
) -> tuple[sa.ColumnElement[Any], ...]:
    """Return what ``tax_on`` reads of who pays for ``subscription``.

    ``payer`` is ``customer`` or its alias. Of a subscription that is taxed as it was ordered
    the number of that order counts, if it had one, and nothing of the account.
    """
    alone, number = subscription.c.is_taxed_as_ordered, subscription.c.order_tax_id
    state = sa.case((number != "", TaxIdState.VALID.value), else_=TaxIdState.NONE.value)
    return (
        sa.case((alone, number), else_=payer.c.tax_id).label("tax_id"),
        sa.case((alone, state), else_=payer.c.tax_id_state).label("tax_id_state"),
        sa.and_(payer.c.is_tax_exempt, sa.not_(alone)).label("is_tax_exempt"),
    )


def buyer_of(row: AnyRow) -> Buyer:
    """Return the buyer of a row with ``buyer_columns``; none where nobody pays yet."""
    return Buyer(row.tax_id or "", row.tax_id_state or "", bool(row.is_tax_exempt))


def place_of(row: AnyRow) -> Place:
    """Return where a row's box goes; a row without an address is the seller's own place."""
    return Place(row.country or "", row.region or "", row.postcode or "", row.city or "")


def sale_to(row: AnyRow, taxes: TaxRules) -> Sale:
    """Return the sale to the payer and the address of ``row``."""
    return Sale(taxes, place_of(row), buyer_of(row))


def tax_on(row: AnyRow, tax_class: str, on: date, taxes: TaxRules) -> Taxed:
    """Return the tax of a sale to ``row`` at the tax point ``on``. Raises ``NoRate``."""
    return sale_to(row, taxes).tax(cast(TaxClass, tax_class), on)


def note_of(priced: PricedPeriod) -> dict[str, str]:
    """Return what a document says about its tax beside rates and amounts."""
    return {"treatment": priced.treatment.value, "source": priced.tax_source}


def number_shown(priced: PricedPeriod, tax_id: str | None) -> dict[str, str]:
    """Return the buyer's VAT number for the document: it must stand where they owe the tax.

    Source: Directive 2006/112/EC, article 226(4).
    """
    shown = priced.treatment is Treatment.REVERSE_CHARGE and tax_id
    return {"tax_id": tax_id} if shown and tax_id else {}


def note_tax_ids(session: AnySession, payers: Mapping[int, int], moment: Moment) -> None:
    """Keep the VAT numbers of paid orders with their customers, for the renewals.

    ``payers`` has the customer of each checkout. A number is kept only with a customer whom
    the order made, or who began it signed in: an order under somebody else's e-mail must not
    change what its owner is charged. Nor does what the owner has change that order's renewals,
    which were shown without: its subscriptions are taxed as they were ordered, with its own
    number where that is valid. Source: docs/decisions/0073-asking-about-tax.md.
    """
    checkout, table = table_of(Checkout), table_of(Customer)
    rows = session.execute(
        sa.select(checkout.c.id, checkout.c.tax_id, checkout.c.tax_id_state, checkout.c.quote)
        .where(checkout.c.id.in_(payers))
        .order_by(checkout.c.id)
    ).all()
    _keep_with_orders(session, rows, payers)
    known = [
        {
            "key": payers[row.id],
            "number": row.tax_id,
            "state": row.tax_id_state,
            "checked_at": None if row.tax_id_state == TaxIdState.PENDING else moment.now,
        }
        for row in rows
        if row.tax_id and is_their_own(row, payers[row.id])
    ]
    if known:
        session.connection().execute(
            sa.update(table)
            .where(table.c.id == sa.bindparam("key"))
            .values(
                tax_id=sa.bindparam("number"),
                tax_id_state=sa.bindparam("state"),
                tax_id_checked_at=sa.bindparam("checked_at"),
            ),
            known,
        )


def is_their_own(row: AnyRow, customer_id: int) -> bool:
    """Return whether a customer began an order signed in, or was made by it; of its ``quote``."""
    return customer_id in (row.quote.get("owner"), row.quote.get("new_customer"))


def _keep_with_orders(
    session: AnySession, rows: Sequence[AnyRow], payers: Mapping[int, int]
) -> None:
    table = table_of(Subscription)
    others = [
        {"key": row.id, "number": row.tax_id if row.tax_id_state == TaxIdState.VALID else ""}
        for row in rows
        if not is_their_own(row, payers[row.id])
    ]
    if others:
        session.connection().execute(
            sa.update(table)
            .where(table.c.checkout_id == sa.bindparam("key"))
            .values(is_taxed_as_ordered=True, order_tax_id=sa.bindparam("number")),
            others,
        )


def tax_as_account(session: AnySession, customer_id: int) -> int:
    """Tax all subscriptions that the customer pays for by the account; returns how many weren't.

    For when its owner or staff have said so, looking at the account.
    """
    return len(session.execute(_taxed_as_ordered(customer_id)).all())


def _taxed_as_ordered(customer_id: int) -> sa.UpdateBase:
    table = table_of(Subscription)
    return (
        sa.update(table)
        .where(
            sa.func.coalesce(table.c.payer_id, table.c.customer_id) == customer_id,
            table.c.is_taxed_as_ordered,
        )
        .values(is_taxed_as_ordered=False, order_tax_id="")
        .returning(table.c.id)
    )


def last_invoiced_on(
    session: AnySession, country: str, seller_country: str, since: date
) -> date | None:
    """Return the latest tax point on or after ``since`` of an invoice sent into ``country``.

    What was sent nowhere counts for the seller's country. Offered documents count too: they
    are frozen and may be paid at any moment.
    """
    table = table_of(Invoice)
    to = sa.func.coalesce(
        sa.func.nullif(table.c.snapshot["ship_to"]["country"].as_string(), ""), seller_country
    )
    found: date | None = session.scalar(
        sa.select(sa.func.max(table.c.tax_point_on)).where(
            table.c.tax_point_on >= since,
            table.c.state.not_in([InvoiceState.DRAFT, InvoiceState.DISCARDED]),
            to == country,
        )
    )
    return found
