"""Where one box goes, if not where its subscription does: by its cycle, paid for or not.

A box that is made reads it when it is packed, so nothing is copied when a box is made or moved.
Source: docs/decisions/0195-an-address-for-a-coming-box.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.rates import NoRate, TaxClass
from storefront.domain.tax_treatment import Place, TaxRules
from storefront.models import Address, Box, BoxAddress, BoxCycle, BoxSkip, Gift
from storefront.models.base import table_of
from storefront.operations.addresses import PostalAddress
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of


def own_address(box: sa.Table) -> sa.ColumnElement[Any]:
    """Return the key of the address that ``box`` was given alone, NULL for none."""
    given = table_of(BoxAddress)
    of_cycle = (
        sa.select(given.c.address_id)
        .where(
            given.c.subscription_id == box.c.subscription_id,
            given.c.cycle_id == box.c.cycle_id,
            # What is sent again goes by its own rule.
            box.c.kind == BoxKind.REGULAR,
        )
        .correlate(box)
        .scalar_subquery()
    )
    return sa.func.coalesce(box.c.address_id, of_cycle)


def goes_to(box: sa.Table, subscription: sa.Table) -> sa.ColumnElement[Any]:
    """Return the key of the address that ``box`` goes to as things stand."""
    return sa.func.coalesce(own_address(box), subscription.c.address_id)


def gift_country(subscription: sa.Table) -> sa.ScalarSelect[Any]:
    """Return the country that a gift was paid for, which it goes to whatever its address is."""
    gift = table_of(Gift)
    found = sa.select(gift.c.country).where(gift.c.subscription_id == subscription.c.id)
    return found.correlate(subscription).scalar_subquery()


def has_given_addresses(subscription: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the column that says whether a box of a subscription has an address of its own."""
    given = table_of(BoxAddress)
    return sa.exists().where(given.c.subscription_id == subscription.c.id)


def given_addresses(
    session: AnySession, subscription_ids: Sequence[int]
) -> Mapping[int, Mapping[int, AnyRow]]:
    """Return the addresses of single boxes, by subscription and cycle.

    One statement; none without ``subscription_ids``.
    """
    if not subscription_ids:
        return {}
    return given_from(session.execute(given_statement(), {"ids": subscription_ids}))


def given_from(rows: Iterable[AnyRow]) -> dict[int, dict[int, AnyRow]]:
    """Return what ``given_statement`` found, by subscription and cycle."""
    found: dict[int, dict[int, AnyRow]] = {}
    for row in rows:
        found.setdefault(row.subscription_id, {})[row.cycle_id] = row
    return found


@cache
def given_statement() -> AnySelect:
    """The addresses of single boxes of the subscriptions ``ids``; built once."""
    given, address = table_of(BoxAddress), table_of(Address)
    return (
        sa.select(address, given.c.subscription_id, given.c.cycle_id)
        .join(given, given.c.address_id == address.c.id)
        .where(any_of(given.c.subscription_id))
    )


def hold_box(
    session: AnySession, subscription_id: int, cycle_id: int | None, ref: str = ""
) -> AnyRow | None:
    """Return the regular box of a cycle, or else ``ref``, locked so that nobody packs it."""
    box, cycle = table_of(Box), table_of(BoxCycle)
    which = box.c.public_id == ref if cycle_id is None else box.c.cycle_id == cycle_id
    return session.execute(
        sa.select(
            box.c.id,
            box.c.public_id,
            box.c.state,
            box.c.problem,
            box.c.address_id,
            cycle.c.cutoff_on,
        )
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            which,
            box.c.subscription_id == subscription_id,
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
        )
        .with_for_update(of=box)
    ).one_or_none()


def send_made_box(session: AnySession, box_id: int, address_id: int | None) -> None:
    """Send a box that no cycle is there for yet to ``address_id``; the caller holds it."""
    box = table_of(Box)
    session.execute(sa.update(box).where(box.c.id == box_id).values(address_id=address_id))


def give_address(
    session: AnySession,
    subscription_id: int,
    cycle_id: int,
    address_id: int | None,
    now: datetime,
) -> None:
    """Send the box of a cycle to ``address_id``; None: where all others go.

    The caller holds the subscription, and the box where there is one.
    """
    given, box = table_of(BoxAddress), table_of(Box)
    mine = (given.c.subscription_id == subscription_id, given.c.cycle_id == cycle_id)
    session.execute(sa.delete(given).where(*mine))
    if address_id is not None:
        session.execute(
            sa.insert(given).values(
                subscription_id=subscription_id,
                cycle_id=cycle_id,
                address_id=address_id,
                given_at=now,
            )
        )
    session.execute(
        sa.update(box)
        .where(
            box.c.subscription_id == subscription_id,
            box.c.cycle_id == cycle_id,
            box.c.kind == BoxKind.REGULAR,
            box.c.address_id.is_not(None),
            box.c.state.in_([BoxState.PLANNED, BoxState.HELD]),
        )
        .values(address_id=None)
    )


def follow_abroad(session: AnySession, subscription_id: int, country: str, today: date) -> None:
    """Let boxes that are not made yet go with their subscription, which moves to ``country``.

    What is paid for is taxed there from now on, so one that stayed behind would be taxed in a
    country that it does not go to.
    """
    given, cycle, address, box = (table_of(m) for m in (BoxAddress, BoxCycle, Address, Box))
    abroad = sa.select(address.c.id).where(address.c.country != country)
    open_ = sa.select(cycle.c.id).where(cycle.c.cutoff_on >= today)
    session.execute(
        sa.delete(given).where(
            given.c.subscription_id == subscription_id,
            given.c.cycle_id.in_(open_),
            given.c.address_id.in_(abroad),
            ~_has_box(given, box),
        )
    )


def follow_tax(
    session: AnySession,
    row: AnyRow,
    typed: PostalAddress,
    taxes: TaxRules | None,
    today: date,
    now: datetime,
) -> None:
    """Let boxes that are not paid for yet go with their subscription where its tax is another.

    ``row`` is the subscription, which moves to ``typed`` in its country; ``taxes`` as in
    ``same_tax``. One that stayed behind would be taxed where it does not go to.
    """
    given, cycle, box = table_of(BoxAddress), table_of(BoxCycle), table_of(Box)
    unpaid = sa.select(given.c.cycle_id).join(cycle, cycle.c.id == given.c.cycle_id)
    unpaid = unpaid.where(
        given.c.subscription_id == row.id, cycle.c.cutoff_on >= today, ~_has_box(given, box)
    )
    own = given_addresses(session, [row.id]).get(row.id, {})
    for cycle_id in session.scalars(unpaid.order_by(given.c.cycle_id)).all():
        if not same_tax(own[cycle_id], typed, row.tax_class, taxes, today):
            give_address(session, row.id, cycle_id, None, now)


def same_tax(
    usual: AnyRow, typed: PostalAddress, tax_class: TaxClass, taxes: TaxRules | None, on: date
) -> bool:
    """Return whether the tax of a payment is the same at both addresses, as it pays for both.

    ``taxes`` is None where a provider is asked on the day of the payment: then it is the region.
    """
    if taxes is None:
        return bool(usual.region.strip().casefold() == typed.region.strip().casefold())
    try:
        rates = [
            taxes.rate_at(Place(one.country, one.region, one.postcode, one.city), tax_class, on)
            for one in (usual, typed)
        ]
    except NoRate:
        return False
    return rates[0] == rates[1]


def drop_addresses(session: AnySession, subscription_ids: Sequence[int]) -> None:
    """Forget addresses of boxes that will not come, as their subscriptions are over.

    Those of boxes that are paid for stay, also where a skip could still be taken back.
    """
    given, box, skip = table_of(BoxAddress), table_of(Box), table_of(BoxSkip)
    moved = sa.exists().where(
        skip.c.subscription_id == given.c.subscription_id,
        skip.c.cycle_id == given.c.cycle_id,
        skip.c.moved_box_id.is_not(None),
    )
    session.execute(
        sa.delete(given).where(
            given.c.subscription_id.in_(subscription_ids), ~_has_box(given, box), ~moved
        )
    )


def _has_box(given: sa.Table, box: sa.Table) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        box.c.subscription_id == given.c.subscription_id,
        box.c.cycle_id == given.c.cycle_id,
        box.c.kind == BoxKind.REGULAR,
        box.c.state != BoxState.CANCELED,
    )
