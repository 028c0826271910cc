"""The merchant's people and their roles. Only an owner's machine or an owner changes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.permissions import ALL, FIRST_ROLES, OWNER
from storefront.domain.privacy import normalise_email
from storefront.models import Role, Staff, StaffSession
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.keys import AnyRow, reserve
from storefront.runtime import Runtime

#: Shortest password of a staff user.
SHORTEST_PASSWORD = 10
_BY_COMMAND = "command line"


class UnknownRole(DomainError):
    """There is no such role."""

    code = "unknown_role"


class UnknownStaff(DomainError):
    """There is no such staff user."""

    code = "unknown_staff"


class StaffExists(DomainError):
    """Somebody on the staff has this e-mail already."""

    code = "staff_exists"


class PasswordTooShort(DomainError):
    """Fewer characters than ``least``."""

    code = "password_too_short"


class LastOwner(DomainError):
    """Nobody else could run the shop any more."""

    code = "last_owner"


@dataclass(frozen=True, slots=True)
class StaffRow:
    """A staff user as ``storefront staff list`` shows one."""

    public_id: str
    email: str
    name: str
    role: str
    disabled_at: datetime | None


def ensure_roles(rt: Runtime) -> dict[str, int]:
    """Make the first roles where they are missing and return all roles' keys by code.

    The owner's role always holds every permission; the others stay as the shop has them.
    """

    def write() -> dict[str, int]:
        found = _roles(rt)
        rt.session.commit()
        return found

    return retrying(rt.session, write)


def add_staff(rt: Runtime, *, email: str, name: str, password: str, role: str = OWNER) -> str:
    """Add a staff user and return the public id.

    Raises ``NotAnEmail``, ``UnknownRole``, ``StaffExists`` or ``PasswordTooShort``.
    """
    address = normalise_email(email)
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordTooShort(least=SHORTEST_PASSWORD)
    hashed = rt.passwords.hash(password)

    def write() -> str:
        roles, table = _roles(rt), table_of(Staff)
        if role not in roles:
            raise UnknownRole(role=role)
        known = sa.select(table.c.id).where(table.c.email == address)
        if rt.session.execute(known).first() is not None:
            raise StaffExists(email=address)
        key, public, now = reserve(rt.session, Staff, 1)[0], public_id("stf"), rt.now()
        rt.session.execute(
            sa.insert(table).values(
                id=key,
                public_id=public,
                email=address,
                name=name,
                password_hash=hashed,
                role_id=roles[role],
                created_at=now,
            )
        )
        _note(rt, key, public, "staff.added", {}, {"role": role})
        rt.session.commit()
        return public

    return retrying(rt.session, write)


def change_role(rt: Runtime, email: str, role: str) -> None:
    """Give a staff user another role and sign them out everywhere.

    Raises ``UnknownStaff``, ``UnknownRole``, or ``LastOwner`` when no owner would be left.
    """

    def write() -> None:
        roles, row = _roles(rt), _find(rt, email)
        if role not in roles:
            raise UnknownRole(role=role)
        if row.role == OWNER and role != OWNER:
            _require_other_owner(rt, row.id)
        _set(rt, row.id, role_id=roles[role])
        _note(rt, row.id, row.public_id, "staff.role_changed", {"role": row.role}, {"role": role})
        rt.session.commit()

    retrying(rt.session, write)


def change_password(rt: Runtime, email: str, password: str) -> None:
    """Set a new password and sign the staff user out everywhere.

    Raises ``UnknownStaff`` or ``PasswordTooShort``.
    """
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordTooShort(least=SHORTEST_PASSWORD)
    hashed = rt.passwords.hash(password)

    def write() -> None:
        row = _find(rt, email)
        _set(rt, row.id, password_hash=hashed)
        _note(rt, row.id, row.public_id, "staff.password_changed", {}, {})
        rt.session.commit()

    retrying(rt.session, write)


def disable_staff(rt: Runtime, email: str) -> None:
    """Let a staff user in no more; what they did stays. Doing it again changes nothing.

    Raises ``UnknownStaff``, or ``LastOwner`` when no owner would be left.
    """

    def write() -> None:
        row = _find(rt, email)
        if row.disabled_at is not None:
            rt.session.rollback()
            return
        if row.role == OWNER:
            _require_other_owner(rt, row.id)
        _set(rt, row.id, disabled_at=rt.now())
        _note(rt, row.id, row.public_id, "staff.disabled", {}, {})
        rt.session.commit()

    retrying(rt.session, write)


def list_staff(rt: Runtime) -> list[StaffRow]:
    """Return everybody on the staff by e-mail."""
    table, role = table_of(Staff), table_of(Role)
    rows = rt.session.execute(
        sa.select(
            table.c.public_id,
            table.c.email,
            table.c.name,
            role.c.code.label("role"),
            table.c.disabled_at,
        )
        .join(role, role.c.id == table.c.role_id)
        .order_by(table.c.email)
    ).all()
    rt.session.rollback()
    return [StaffRow(**row._mapping) for row in rows]


def _roles(rt: Runtime) -> dict[str, int]:
    table = table_of(Role)
    rows = rt.session.execute(sa.select(table.c.code, table.c.id, table.c.permissions)).all()
    found: dict[str, int] = {row.code: row.id for row in rows}
    for code, (name, permissions) in FIRST_ROLES.items():
        if code not in found:
            key = reserve(rt.session, Role, 1)[0]
            rt.session.execute(
                sa.insert(table).values(
                    id=key, code=code, name=name, permissions=sorted(permissions)
                )
            )
            found[code] = key
    if any(row.code == OWNER and set(row.permissions) != ALL for row in rows):
        owner = table.c.code == OWNER
        rt.session.execute(sa.update(table).where(owner).values(permissions=sorted(ALL)))
    return found


def _find(rt: Runtime, email: str) -> AnyRow:
    table, role = table_of(Staff), table_of(Role)
    row = rt.session.execute(
        sa.select(table.c.id, table.c.public_id, table.c.disabled_at, role.c.code.label("role"))
        .join(role, role.c.id == table.c.role_id)
        .where(table.c.email == normalise_email(email))
    ).one_or_none()
    if row is None:
        raise UnknownStaff(email=email)
    return row


def _require_other_owner(rt: Runtime, staff_id: int) -> None:
    table, role = table_of(Staff), table_of(Role)
    # Locked, so that two owners who remove each other at once do not both succeed.
    others = rt.session.execute(
        sa.select(table.c.id)
        .join(role, role.c.id == table.c.role_id)
        .where(role.c.code == OWNER, table.c.disabled_at.is_(None))
        .order_by(table.c.id)
        .with_for_update(of=table)
    ).scalars()
    if not [key for key in others if key != staff_id]:
        raise LastOwner


def _set(rt: Runtime, staff_id: int, **values: Any) -> None:
    table, sessions = table_of(Staff), table_of(StaffSession)
    rt.session.execute(sa.update(table).where(table.c.id == staff_id).values(**values))
    rt.session.execute(
        sa.update(sessions)
        .where(sessions.c.staff_id == staff_id, sessions.c.revoked_at.is_(None))
        .values(revoked_at=rt.now())
    )


def _note(
    rt: Runtime,
    staff_id: int,
    public: str,
    action: str,
    before: dict[str, str],
    after: dict[str, str],
) -> None:
    told = {**after, "by": _BY_COMMAND}
    audit.write(rt.session, staff_id, action, public, before, told, rt.moment())
