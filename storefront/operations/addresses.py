"""Addresses as they are typed and kept; one that was used is never rewritten."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.domain.errors import DomainError
from storefront.models import Address
from storefront.models.base import public_id, table_of
from storefront.operations.keys import AnyRow, AnySession


class NotFound(DomainError):
    """No such subscription of this customer."""

    code = "not_found"


class OtherCountry(DomainError):
    """One box alone, and a gift, stay in ``country``, whose tax was paid with them."""

    code = "other_country"


class OtherTax(DomainError):
    """Another rate of tax holds there than where the subscription, which pays it, goes."""

    code = "other_tax"


class TooLate(DomainError):
    """The cut-off of the box is over, or it is being packed."""

    code = "too_late"


class NotServed(DomainError):
    """We do not deliver to ``country``, or not to this postcode there."""

    code = "country_not_served"


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """An address as typed, each part cut to the length of its column."""

    name: str
    street: str
    postcode: str
    city: str
    country: str
    company: str = ""
    extra: str = ""
    #: Asked for where the rate of tax depends on it, or the carrier needs it.
    region: str = ""
    #: For the carrier.
    phone: str = ""


def address_row(session: AnySession, address_id: int | None) -> AnyRow | None:
    """Return an address, None for none."""
    table = table_of(Address)
    return session.execute(sa.select(table).where(table.c.id == address_id)).one_or_none()


def is_same(present: AnyRow | None, typed: PostalAddress) -> bool:
    """Return whether what was typed is the address already."""
    return present is not None and all(
        present._mapping[name] == value for name, value in asdict(typed).items()
    )


def insert_address(
    session: AnySession, customer_id: int, typed: PostalAddress, now: datetime
) -> tuple[int, str]:
    """Write a new address of a customer; returns its key and its public id."""
    ref = public_id("adr")
    key = session.execute(
        sa.insert(table_of(Address))
        .values(
            public_id=ref,
            customer_id=customer_id,
            created_at=now,
            **asdict(typed),
        )
        .returning(table_of(Address).c.id)
    ).scalar_one()
    return key, ref
