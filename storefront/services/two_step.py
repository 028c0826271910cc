"""The second step of a sign-in: set it up, ask for it, use a recovery code, switch it off.

Who signs in has proved who they are by password, mailed code or link before any of this is asked,
so nothing here tells a stranger which address has an account.
Source: docs/decisions/0217-two-step-sign-in.md.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from storefront.adapters import totp
from storefront.adapters.sealing import seal, unseal
from storefront.database import reading, retrying
from storefront.domain.two_step import (
    RECOVERY_CODES,
    NotBegun,
    WrongSecondStep,
    digits_of,
    recovery_code_of,
    written,
)
from storefront.models import Customer, RecoveryCode, ShopSettings, Staff, TwoStep
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import SHOP, Who
from storefront.operations.keys import AnyRow, reserve
from storefront.operations.outbox import Message, enqueue
from storefront.operations.secrets import new_nonce
from storefront.operations.two_step import forget_two_steps
from storefront.runtime import Runtime

#: What the seal of a secret is for.
_PURPOSE = "second step"
#: Bytes of a recovery code: 80 bits, sixteen letters in base 32.
_CODE_BYTES = 10


@dataclass(frozen=True, slots=True)
class Person:
    """Whose second step it is."""

    kind: Literal["customer", "staff"]
    id: int

    @property
    def is_them(self) -> sa.ColumnElement[bool]:
        table = table_of(TwoStep)
        column = table.c.customer_id if self.kind == "customer" else table.c.staff_id
        return column == self.id


@dataclass(frozen=True, slots=True)
class Setup:
    """What an authenticator has to be told: the secret in groups, and all of it for a QR code."""

    secret: str
    address: str


def is_asked(rt: Runtime, person: Person) -> bool:
    """Return whether ``person`` has a second step that a sign-in asks for."""
    with reading():
        row = _row(rt, person)
        rt.session.rollback()
    return row is not None and row.confirmed_at is not None


def begin(rt: Runtime, person: Person) -> None:
    """Make a secret for ``person``; nothing is asked for before its first code was typed.

    Raises ``NotBegun`` where a second step is on already.
    """
    sealed = seal(rt.settings.secret_keys, _PURPOSE, totp.new_secret())

    def write() -> None:
        row = _row(rt, person, lock=True)
        if row is not None and row.confirmed_at is not None:
            raise NotBegun
        forget_two_steps(rt.session, person.is_them)
        rt.session.execute(
            sa.insert(table_of(TwoStep)).values(
                id=reserve(rt.session, TwoStep, 1)[0],
                customer_id=person.id if person.kind == "customer" else None,
                staff_id=person.id if person.kind == "staff" else None,
                secret_sealed=sealed,
                confirmed_at=None,
                last_step=0,
                created_at=rt.now(),
            )
        )
        rt.session.commit()

    retrying(rt.session, write)


def setup_of(rt: Runtime, person: Person, email: str) -> Setup | None:
    """Return what the authenticator is told; None when nothing was begun, or all is done."""
    with reading():
        row = _row(rt, person)
        rt.session.rollback()
    secret = _secret(rt, row) if row is not None and row.confirmed_at is None else None
    if secret is None:
        return None
    groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return Setup(groups, totp.address_for_apps(secret, email, rt.shop.name))


def stop(rt: Runtime, person: Person) -> None:
    """Throw away what was begun; one that is on stays on."""

    def write() -> None:
        begun = sa.and_(person.is_them, table_of(TwoStep).c.confirmed_at.is_(None))
        forget_two_steps(rt.session, begun)
        rt.session.commit()

    retrying(rt.session, write)


def confirm(rt: Runtime, person: Person, typed: str) -> list[str]:
    """Switch it on with a first code of the authenticator; returns the recovery codes.

    The caller ends the other sessions. Raises ``WrongSecondStep`` or ``NotBegun``.
    """
    digits = digits_of(typed)
    table = table_of(TwoStep)

    def write() -> list[str]:
        row = _row(rt, person, lock=True)
        if row is None or row.confirmed_at is not None:
            raise NotBegun
        step = _step(rt, row, digits)
        if step is None:
            raise WrongSecondStep
        rt.session.execute(
            sa.update(table)
            .where(table.c.id == row.id)
            .values(confirmed_at=rt.now(), last_step=step)
        )
        codes = _new_codes(rt, row.id)
        _tell(rt, person, is_on=True)
        _note_own(rt, person, "staff.two_step_on")
        rt.session.commit()
        return codes

    return retrying(rt.session, write)


def renew_codes(rt: Runtime, person: Person) -> list[str]:
    """Make new recovery codes; the earlier ones are dead. Raises ``NotBegun`` while it is off."""

    def write() -> list[str]:
        row = _row(rt, person, lock=True)
        if row is None or row.confirmed_at is None:
            raise NotBegun
        codes = _new_codes(rt, row.id)
        rt.session.commit()
        return codes

    return retrying(rt.session, write)


def take_second_step(rt: Runtime, person: Person, typed: str) -> None:
    """Use a code of the authenticator, or a recovery code, once. Raises ``WrongSecondStep``."""
    digits, recovery = digits_of(typed), recovery_code_of(typed)
    table, codes = table_of(TwoStep), table_of(RecoveryCode)

    def write() -> bool:
        row = _row(rt, person)
        if row is None or row.confirmed_at is None:
            return False
        taken = None
        step = _step(rt, row, digits)
        if step is not None:
            # Guarded, so that of two who type the same code at once one gets in.
            taken = rt.session.execute(
                sa.update(table)
                .where(table.c.id == row.id, table.c.last_step < step)
                .values(last_step=step)
                .returning(table.c.id)
            ).one_or_none()
        elif recovery is not None:
            taken = rt.session.execute(
                sa.update(codes)
                .where(
                    codes.c.two_step_id == row.id,
                    codes.c.code_hash == _hashed(recovery),
                    codes.c.used_at.is_(None),
                )
                .values(used_at=rt.now())
                .returning(codes.c.id)
            ).one_or_none()
        rt.session.commit()
        return taken is not None

    if not retrying(rt.session, write):
        raise WrongSecondStep


def switch_off(rt: Runtime, person: Person) -> bool:
    """Ask for no second step any more; False when there was none. They have proved themselves."""

    def write() -> bool:
        gone = forget_two_steps(rt.session, person.is_them)
        if gone:
            _tell(rt, person, is_on=False)
            _note_own(rt, person, "staff.two_step_off")
        rt.session.commit()
        return bool(gone)

    return retrying(rt.session, write)


def reset_customer(rt: Runtime, who: Who, customer: str) -> bool:
    """Switch it off for a customer who lost the authenticator; False when there was none.

    ``who`` has made sure that it is them; they are told by mail.
    """

    def write() -> bool:
        key = rt.session.scalar(sa.select(Customer.id).where(Customer.public_id == customer))
        person = Person("customer", key or 0)
        gone = forget_two_steps(rt.session, person.is_them)
        if gone:
            _tell(rt, person, is_on=False)
            _note(rt, who, "customer.two_step_off", customer)
        rt.session.commit()
        return bool(gone)

    return retrying(rt.session, write)


def reset_staff(rt: Runtime, who: Who | None, staff: str) -> bool:
    """Switch it off for a colleague, or by command; False when there was none."""

    def write() -> bool:
        key = rt.session.scalar(sa.select(Staff.id).where(Staff.public_id == staff))
        gone = forget_two_steps(rt.session, Person("staff", key or 0).is_them)
        if gone:
            _note(rt, who or Who(key or 0, staff), "staff.two_step_off", staff)
        rt.session.commit()
        return bool(gone)

    return retrying(rt.session, write)


def require_of_staff(rt: Runtime, who: Who, *, is_required: bool) -> bool:
    """Ask a second step of all staff, or leave it to each; False if it is so already."""
    table = table_of(ShopSettings)

    def write() -> bool:
        changed = rt.session.execute(
            sa.update(table)
            .where(table.c.staff_two_step != is_required)
            .values(staff_two_step=is_required)
            .returning(table.c.id)
        ).one_or_none()
        if changed is not None:
            code = "staff.two_step_required" if is_required else "staff.two_step_free"
            _note(rt, who, code, SHOP)
        rt.session.commit()
        return changed is not None

    done = retrying(rt.session, write)
    rt.forget_shop()
    return done


def _row(rt: Runtime, person: Person, *, lock: bool = False) -> AnyRow | None:
    table = table_of(TwoStep)
    statement = sa.select(table.c.id, table.c.secret_sealed, table.c.confirmed_at)
    statement = statement.where(person.is_them)
    return rt.session.execute(statement.with_for_update() if lock else statement).one_or_none()


def _secret(rt: Runtime, row: AnyRow) -> str | None:
    return unseal(rt.settings.secret_keys, _PURPOSE, row.secret_sealed)


def _step(rt: Runtime, row: AnyRow, digits: str | None) -> int | None:
    """Return the half minute of a code; None for a wrong one, or one sealed with a lost key."""
    secret = _secret(rt, row) if digits else None
    return totp.matching_step(secret, digits, rt.now()) if secret and digits else None


def _new_codes(rt: Runtime, two_step_id: int) -> list[str]:
    """Replace the recovery codes and return the new ones as they are read; only hashes stay."""
    table = table_of(RecoveryCode)
    rt.session.execute(sa.delete(table).where(table.c.two_step_id == two_step_id))
    made = [
        base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode().lower()
        for _each in range(RECOVERY_CODES)
    ]
    keys = reserve(rt.session, RecoveryCode, len(made))
    rows = [
        {"id": key, "two_step_id": two_step_id, "code_hash": _hashed(code), "used_at": None}
        for key, code in zip(keys, made, strict=True)
    ]
    rt.session.execute(sa.insert(table), rows)
    return [written(code) for code in made]


def _hashed(code: str) -> str:
    return hashlib.sha256(f"recovery code:{code}".encode()).hexdigest()


def _tell(rt: Runtime, person: Person, *, is_on: bool) -> None:
    """Mail the customer that it was switched, so that nobody does it unseen."""
    if person.kind == "customer":
        key = f"mail:two_step_changed:{new_nonce()}"
        message = Message("mail", "two_step_changed", key, {"is_on": is_on}, person.id)
        enqueue(rt.session, [message], rt.now())


def _note_own(rt: Runtime, person: Person, action: str) -> None:
    """Log what a staff user switched for themselves."""
    if person.kind == "staff":
        ref = rt.session.scalar(sa.select(Staff.public_id).where(Staff.id == person.id))
        _note(rt, Who(person.id, ref or ""), action, ref or "")


def _note(rt: Runtime, who: Who, action: str, of: str) -> None:
    audit.write(rt.session, who.id, action, of, {}, {}, rt.moment(), who.ip)
