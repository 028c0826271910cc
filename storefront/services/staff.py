"""The merchant's people and their roles. Only an owner's machine or an owner changes them.

``by`` is the staff user who acts; without one it is the command line of the shop's machine.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.errors import DomainError
from storefront.domain.passwords import is_easy_to_guess
from storefront.domain.permissions import ALL, FIRST_ROLES, OWNER
from storefront.domain.privacy import normalise_email
from storefront.models import Role, Staff, StaffSession, TwoStep
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow, reserve
from storefront.operations.outbox import Message, enqueue
from storefront.operations.secrets import new_nonce, staff_state, staff_token
from storefront.runtime import Runtime

#: Shortest password of a staff user.
SHORTEST_PASSWORD = 10
#: How long a mailed link works.
LINK_LASTS = timedelta(days=3)
_BY_COMMAND = "command line"
#: Digits of seconds since 1970, for some centuries.
_LONGEST_TIME = 11
#: Stored of somebody who was invited and has chosen no password yet; it lets nobody in.
_NONE_YET = ""


class UnknownRole(DomainError):
    """There is no such role."""

    code = "unknown_role"


class UnknownStaff(DomainError):
    """There is no such staff user."""

    code = "unknown_staff"


class StaffExists(DomainError):
    """Somebody on the staff has this e-mail already."""

    code = "staff_exists"


class PasswordTooPlain(DomainError):
    """Among the first that anybody would try; see ``domain.passwords``."""

    code = "password_too_plain"


class PasswordTooShort(DomainError):
    """Fewer characters than ``least``."""

    code = "password_too_short"


class LastOwner(DomainError):
    """Nobody else could run the shop any more."""

    code = "last_owner"


class OwnAccount(DomainError):
    """Somebody else has to do this to your account."""

    code = "own_account"


class LinkRefused(DomainError):
    """The link was used, is too old, or never was one."""

    code = "link_refused"


@dataclass(frozen=True, slots=True)
class StaffRow:
    """A staff user as ``storefront staff list`` shows one."""

    public_id: str
    email: str
    name: str
    role: str
    disabled_at: datetime | None
    #: Has not chosen a password yet.
    is_invited: bool = False
    has_two_step: bool = False


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role and what it allows."""

    code: str
    name: str
    permissions: tuple[str, ...]


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
    return _add(rt, email, name, _hashed(rt, password), role, None)


def invite_staff(rt: Runtime, by: Who, *, email: str, name: str, role: str) -> str:
    """Add a staff user without a password, mail them a link to choose one; returns the public id.

    Raises ``NotAnEmail``, ``UnknownRole`` or ``StaffExists``.
    """
    return _add(rt, email, name, _NONE_YET, role, by)


def _hashed(rt: Runtime, password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordTooShort(least=SHORTEST_PASSWORD)
    if is_easy_to_guess(password):
        raise PasswordTooPlain
    return rt.passwords.hash(password)


def _add(rt: Runtime, email: str, name: str, hashed: str, role: str, by: Who | None) -> str:
    address = normalise_email(email)

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
        _note(rt, by, key, public, "staff.added", {}, {"role": role})
        if hashed == _NONE_YET:
            _mail_link(rt, public, hashed)
        rt.session.commit()
        return public

    return retrying(rt.session, write)


def send_link(rt: Runtime, by: Who, email: str) -> None:
    """Mail a staff user a new link to choose a password; the present one goes on working.

    Raises ``UnknownStaff``, also for somebody who is locked out.
    """

    def write() -> None:
        row = _find(rt, email)
        if row.disabled_at is not None:
            raise UnknownStaff(email=email)
        _mail_link(rt, row.public_id, row.password_hash)
        _note(rt, by, row.id, row.public_id, "staff.link_sent", {}, {})
        rt.session.commit()

    retrying(rt.session, write)


def link_token(rt: Runtime, payload: Mapping[str, Any]) -> str:
    """Return the secret of the link that a mail with ``payload`` carries; it is stored nowhere."""
    key = rt.settings.secret_key
    return staff_token(key, payload["staff"], payload["until"], payload["state"])


def person_of_link(rt: Runtime, token: str) -> str | None:
    """Return the e-mail of whom a mailed link is for; None when it lets nobody in any more."""
    with reading():
        row = _of_link(rt, token)
        rt.session.rollback()
    return row.email if row else None


def choose_password(rt: Runtime, token: str, password: str) -> None:
    """Set the password of whom a mailed link is for; the link is used up by that.

    Raises ``PasswordTooShort`` or ``LinkRefused``.
    """
    hashed = _hashed(rt, password)

    def write() -> None:
        row = _of_link(rt, token, lock=True)
        if row is None:
            raise LinkRefused
        _set(rt, row.id, password_hash=hashed)
        themselves = Who(row.id, row.public_id)
        _note(rt, themselves, row.id, row.public_id, "staff.password_changed", {}, {})
        rt.session.commit()

    retrying(rt.session, write)


def change_role(rt: Runtime, email: str, role: str, by: Who | None = None) -> None:
    """Give a staff user another role and sign them out everywhere.

    Raises ``UnknownStaff``, ``UnknownRole``, ``OwnAccount``, or ``LastOwner`` when no owner
    would be left.
    """

    def write() -> None:
        roles, row = _roles(rt), _find(rt, email)
        if role not in roles:
            raise UnknownRole(role=role)
        _require_other(by, row)
        if row.role == role:
            rt.session.rollback()
            return
        if row.role == OWNER and role != OWNER:
            _require_other_owner(rt, row.id)
        _set(rt, row.id, role_id=roles[role])
        before, after = {"role": row.role}, {"role": role}
        _note(rt, by, row.id, row.public_id, "staff.role_changed", before, after)
        rt.session.commit()

    retrying(rt.session, write)


def change_password(rt: Runtime, email: str, password: str) -> None:
    """Set a new password and sign the staff user out everywhere.

    Raises ``UnknownStaff`` or ``PasswordTooShort``.
    """
    hashed = _hashed(rt, password)

    def write() -> None:
        row = _find(rt, email)
        _set(rt, row.id, password_hash=hashed)
        _note(rt, None, row.id, row.public_id, "staff.password_changed", {}, {})
        rt.session.commit()

    retrying(rt.session, write)


def disable_staff(rt: Runtime, email: str, by: Who | None = None) -> None:
    """Let a staff user in no more; what they did stays. Doing it again changes nothing.

    Raises ``UnknownStaff``, ``OwnAccount``, or ``LastOwner`` when no owner would be left.
    """

    def write() -> None:
        row = _find(rt, email)
        if row.disabled_at is not None:
            rt.session.rollback()
            return
        _require_other(by, row)
        if row.role == OWNER:
            _require_other_owner(rt, row.id)
        _set(rt, row.id, disabled_at=rt.now())
        _note(rt, by, row.id, row.public_id, "staff.disabled", {}, {})
        rt.session.commit()

    retrying(rt.session, write)


def enable_staff(rt: Runtime, email: str, by: Who | None = None) -> None:
    """Let a staff user in again with the password they had. Doing it again changes nothing.

    Raises ``UnknownStaff``.
    """

    def write() -> None:
        row = _find(rt, email)
        if row.disabled_at is None:
            rt.session.rollback()
            return
        _set(rt, row.id, disabled_at=None)
        _note(rt, by, row.id, row.public_id, "staff.enabled", {}, {})
        rt.session.commit()

    retrying(rt.session, write)


def list_staff(rt: Runtime) -> list[StaffRow]:
    """Return everybody on the staff by e-mail."""
    table, role, second = table_of(Staff), table_of(Role), table_of(TwoStep)
    rows = rt.session.execute(
        sa.select(
            table.c.public_id,
            table.c.email,
            table.c.name,
            role.c.code.label("role"),
            table.c.disabled_at,
            (table.c.password_hash == _NONE_YET).label("is_invited"),
            second.c.confirmed_at.is_not(None).label("has_two_step"),
        )
        .join(role, role.c.id == table.c.role_id)
        .outerjoin(second, second.c.staff_id == table.c.id)
        .order_by(table.c.email)
    ).all()
    rt.session.rollback()
    return [StaffRow(**row._mapping) for row in rows]


def list_roles(rt: Runtime) -> list[RoleRow]:
    """Return every role by name, also a first one that nobody has been given yet."""
    table = table_of(Role)
    rows = rt.session.execute(sa.select(table.c.code, table.c.name, table.c.permissions)).all()
    rt.session.rollback()
    found = {code: (name, allowed) for code, (name, allowed) in FIRST_ROLES.items()}
    stored = {row.code: (row.name, frozenset(row.permissions)) for row in rows}
    found |= stored | {OWNER: (FIRST_ROLES[OWNER][0], ALL)}
    listed = [RoleRow(code, name, tuple(sorted(may))) for code, (name, may) in found.items()]
    # The owner last: what a form chooses by itself should not be everything.
    return sorted(listed, key=lambda each: (each.code == OWNER, each.name))


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
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.disabled_at,
            table.c.password_hash,
            role.c.code.label("role"),
        )
        .join(role, role.c.id == table.c.role_id)
        .where(table.c.email == normalise_email(email))
    ).one_or_none()
    if row is None:
        raise UnknownStaff(email=email)
    return row


def _of_link(rt: Runtime, token: str, *, lock: bool = False) -> AnyRow | None:
    """Return the staff user a link is for, if it is whole, in time and not used."""
    ref, _dot, rest = token.partition(".")
    until = rest.partition(".")[0]
    if not (until.isascii() and until.isdigit() and len(until) <= _LONGEST_TIME):
        return None
    table = table_of(Staff)
    statement = sa.select(table.c.id, table.c.public_id, table.c.email, table.c.password_hash)
    statement = statement.where(table.c.public_id == ref, table.c.disabled_at.is_(None))
    row = rt.session.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None or rt.now().timestamp() > int(until):
        return None
    state = staff_state(rt.settings.secret_key, ref, row.password_hash)
    right = staff_token(rt.settings.secret_key, ref, int(until), state)
    return row if hmac.compare_digest(right.encode(), token.encode()) else None


def _mail_link(rt: Runtime, public: str, password_hash: str) -> None:
    """Ask for the mail; its link is made when it is sent, so it stands in no table."""
    now = rt.now()
    payload = {
        "staff": public,
        "until": int((now + LINK_LASTS).timestamp()),
        "state": staff_state(rt.settings.secret_key, public, password_hash),
    }
    key = f"mail:staff_link:{new_nonce()}"
    enqueue(rt.session, [Message("mail", "staff_link", key, payload)], now)


def _require_other(by: Who | None, row: AnyRow) -> None:
    if by is not None and by.id == row.id:
        raise OwnAccount


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
    by: Who | None,
    staff_id: int,
    public: str,
    action: str,
    before: dict[str, str],
    after: dict[str, str],
) -> None:
    if by is not None:
        audit.write(rt.session, by.id, action, public, before, after, rt.moment(), by.ip)
        return
    told = {**after, "by": _BY_COMMAND}
    audit.write(rt.session, staff_id, action, public, before, told, rt.moment())
