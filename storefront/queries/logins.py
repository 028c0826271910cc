"""Who is behind a session secret: customers and staff, each from their own table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.permissions import ALL, OWNER
from storefront.models.customers import Customer, HostIdentity, LoginSession
from storefront.models.staff import Role, Staff, StaffSession
from storefront.models.two_step import TwoStep
from storefront.operations.secrets import hash_secret


@dataclass(frozen=True, slots=True)
class CustomerLogin:
    """A signed-in customer, as plain values."""

    id: int
    public_id: str
    email: str
    name: str
    #: Language tag; empty means the visitor's or the shop's.
    locale: str
    #: Row of ``login_session``; None when the shop around us says who this is.
    session_id: int | None = None
    #: When the session was last noted as used.
    seen_at: datetime | None = None

    @property
    def first_name(self) -> str:
        return self.name.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class StaffLogin:
    """A signed-in staff user and what the role allows."""

    id: int
    public_id: str
    email: str
    name: str
    role: str
    permissions: frozenset[str]
    session_id: int
    #: When the session was last noted as used.
    seen_at: datetime | None = None
    #: A second step is asked for at each sign-in.
    has_two_step: bool = False

    def may(self, permission: str) -> bool:
        """True if the role has ``permission``; an empty one is everybody's on the staff."""
        return not permission or permission in self.permissions


def customer_of_session(session: AnySession, secret: str, now: datetime) -> CustomerLogin | None:
    """Return the customer of an unexpired, unrevoked session, else None."""
    asked = {"token": hash_secret(secret), "now": now}
    row = session.execute(_of_session(), asked).one_or_none()
    return CustomerLogin(**row._mapping) if row else None


@cache
def _of_session() -> sa.Select[*tuple[Any, ...]]:
    """Return what each page asks for who asks."""
    return (
        sa.select(*_CUSTOMER_COLUMNS, LoginSession.id.label("session_id"), LoginSession.seen_at)
        .join(LoginSession, LoginSession.customer_id == Customer.id)
        .where(
            LoginSession.token_hash == sa.bindparam("token"),
            LoginSession.revoked_at.is_(None),
            LoginSession.expires_at > sa.bindparam("now", type_=LoginSession.expires_at.type),
        )
    )


def customer_of_secret(session: AnySession, secret: str) -> str | None:
    """Return the public id of the customer a session was of, whether or not it has ended."""
    return session.scalar(
        sa.select(Customer.public_id)
        .join(LoginSession, LoginSession.customer_id == Customer.id)
        .where(LoginSession.token_hash == hash_secret(secret))
    )


def staff_of_secret(session: AnySession, secret: str) -> str | None:
    """Return the public id of the staff user a session was of, whether or not it has ended."""
    return session.scalar(
        sa.select(Staff.public_id)
        .join(StaffSession, StaffSession.staff_id == Staff.id)
        .where(StaffSession.token_hash == hash_secret(secret))
    )


def customer_of_host(session: AnySession, host: str, ref: str) -> CustomerLogin | None:
    """Return the customer linked to the person ``ref`` of the shop around us, else None."""
    row = session.execute(
        sa.select(*_CUSTOMER_COLUMNS)
        .join(HostIdentity, HostIdentity.customer_id == Customer.id)
        .where(HostIdentity.host == host, HostIdentity.host_ref == ref)
    ).one_or_none()
    return CustomerLogin(**row._mapping) if row else None


def staff_of_session(session: AnySession, secret: str, now: datetime) -> StaffLogin | None:
    """Return the staff user of an unexpired, unrevoked session who is not disabled, else None."""
    row = session.execute(
        sa.select(
            Staff.id,
            Staff.public_id,
            Staff.email,
            Staff.name,
            Role.code.label("role"),
            Role.permissions,
            StaffSession.id.label("session_id"),
            StaffSession.seen_at,
            TwoStep.confirmed_at.is_not(None).label("has_two_step"),
        )
        .join(StaffSession, StaffSession.staff_id == Staff.id)
        .join(Role, Role.id == Staff.role_id)
        .outerjoin(TwoStep, TwoStep.staff_id == Staff.id)
        .where(
            StaffSession.token_hash == hash_secret(secret),
            StaffSession.revoked_at.is_(None),
            StaffSession.expires_at > now,
            Staff.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    # What a newer version adds is the owner's at once, whatever the stored role says.
    allowed = ALL if row.role == OWNER else frozenset(row.permissions)
    return StaffLogin(**{**row._mapping, "permissions": allowed})


_CUSTOMER_COLUMNS = (
    Customer.id,
    Customer.public_id,
    Customer.email,
    Customer.name,
    Customer.locale,
)
