"""Take down what somebody declares about a contract without signing in, and what became of it.

Each is stored with the instant it came, acknowledged by mail, and either done at once or put
before staff. Nobody outside learns whether there is such a contract.
Source: docs/decisions/0211-ending-a-contract-without-signing-in.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.declarations import DeclarationKind, is_timely
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import ENDED, HoldReason
from storefront.domain.privacy import mask_card_numbers
from storefront.models import Declaration
from storefront.models.base import public_id, table_of
from storefront.operations import audit, declarations
from storefront.operations.audit import Who
from storefront.operations.declarations import Contract
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.outbox import enqueue
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

#: Why a subscription is held, in its timeline.
WITHDRAWAL = "withdrawal"
#: Reminders written in one transaction.
_REMINDERS = 100


class DeclarationNotFound(DomainError):
    """There is no such declaration."""

    code = "declaration_not_found"


class AlreadySettled(DomainError):
    """Somebody was faster, or it was done by itself."""

    code = "already_settled"


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody typed; texts are one line each but ``reason``, the e-mail is normalised."""

    kind: DeclarationKind
    once: str
    name: str
    email: str
    contract: str
    locale: str
    is_for_cause: bool = False
    reason: str = ""
    #: None: as soon as possible.
    wished_on: date | None = None

    @property
    def key(self) -> str:
        """What is the same for a page that is sent twice, and another once it was corrected."""
        wished = self.wished_on.isoformat() if self.wished_on else ""
        parts = (self.kind.value, self.once, self.name, self.email, self.contract, self.reason)
        return sha256("\0".join((*parts, str(self.is_for_cause), wished)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Received:
    """A declaration that is stored."""

    ref: str
    at: datetime
    #: Customer and subscription to be cancelled as the account does; None: a person decides.
    to_cancel: tuple[int, str] | None = None


def receive(rt: Runtime, said: Statement) -> Received:
    """Store a declaration and its acknowledgement; sent twice it is the one that came first.

    A withdrawal of a contract that is known for sure and in time stops every bill and box of it
    in the same transaction. An ordinary end of one is to be cancelled by the caller.
    """

    def change() -> Received:
        before = declarations.by_once(rt.session, said.key)
        if before is not None:
            rt.session.rollback()
            return Received(before.public_id, before.received_at)
        moment = rt.moment()
        found = declarations.find_contract(rt.session, said.email, said.contract)
        stops = _stops(rt, said, found, moment)
        if stops and found.row is not None:
            _stop(rt, found.row, moment)
        ref = public_id("dec")
        declarations.insert_declaration(
            rt.session,
            {
                "public_id": ref,
                "once": said.key,
                "kind": said.kind.value,
                "is_for_cause": said.is_for_cause,
                "name": mask_card_numbers(said.name),
                "email": said.email,
                "contract": mask_card_numbers(said.contract),
                "reason": mask_card_numbers(said.reason),
                "wished_on": said.wished_on,
                "locale": said.locale,
                "received_at": moment.now,
                "customer_id": found.customer_id,
                "subscription_id": found.row.id if found.row is not None else None,
                "is_sure": found.is_sure,
                "has_stopped": stops,
            },
        )
        told = declarations.receipt(ref, said.email, said.locale, found.customer_id)
        enqueue(rt.session, [told], moment.now)
        rt.session.commit()
        return Received(ref, moment.now, _to_cancel(said, found))

    return decide_again(rt.session, change, sa.exc.IntegrityError)


def note_ended(rt: Runtime, ref: str, ends_on: date) -> None:
    """Write down that a declaration was done by itself, and when the contract ends."""

    def write() -> None:
        row = _row(rt, ref)
        declarations.insert_outcome(
            rt.session,
            row.id,
            outcome="ended",
            ends_on=ends_on,
            by_ref="",
            note="",
            at=rt.now(),
        )
        rt.session.commit()

    retrying(rt.session, write)


def settle(rt: Runtime, who: Who, ref: str, note: str) -> None:
    """Say that staff did what a declaration asked. Raises ``DeclarationNotFound``.

    Raises ``AlreadySettled`` where it is done.
    """

    def write() -> None:
        row, moment, words = _row(rt, ref), rt.moment(), mask_card_numbers(note)[:400]
        declarations.insert_outcome(
            rt.session,
            row.id,
            outcome="settled",
            ends_on=None,
            by_ref=who.public_id,
            note=words,
            at=moment.now,
        )
        after = {"kind": row.kind, "note": words}
        audit.write(rt.session, who.id, "declaration.settled", ref, {}, after, moment, who.ip)
        rt.session.commit()

    try:
        retrying(rt.session, write)
    except sa.exc.IntegrityError:
        rt.session.rollback()
        raise AlreadySettled(declaration=ref) from None


def remind_of_refunds(rt: Runtime) -> dict[str, int]:
    """Remind the shop of withdrawals whose money is to go back soon, or should be back.

    Again is nothing new.
    """

    def write() -> int:
        shop, moment = rt.shop, rt.moment()
        found = declarations.refund_reminders(
            rt.session, moment, shop.support_email, shop.locale, _REMINDERS
        )
        enqueue(rt.session, found, moment.now)
        rt.session.commit()
        return len(found)

    told = 0
    while sent := retrying(rt.session, write):
        told += sent
    return {"refunds_due": told}


def _row(rt: Runtime, ref: str) -> AnyRow:
    table = table_of(Declaration)
    row = rt.session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
    if row is None:
        rt.session.rollback()
        raise DeclarationNotFound(declaration=ref)
    return row


def _stops(rt: Runtime, said: Statement, found: Contract, moment: Moment) -> bool:
    """Whether a withdrawal stops its subscription before anybody has looked."""
    row = found.row
    if said.kind is not DeclarationKind.WITHDRAW or row is None or not found.is_sure:
        return False
    if row.state in ENDED or row.is_gift:
        return False
    return is_timely(moment.today, declarations.right_to_withdraw(rt.session, row.id, moment))


def _stop(rt: Runtime, row: AnyRow, moment: Moment) -> None:
    """Bill and pack nothing any more; whoever held it before goes on holding it."""
    if row.held_at is not None:
        return
    values = {"held_at": moment.now, "hold_reason": HoldReason.STAFF}
    change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, values)])
    held = Entry(
        row.id,
        row.public_id,
        EventKind.SUBSCRIPTION_HELD,
        Actor.CUSTOMER,
        data={"reason": WITHDRAWAL},
    )
    record(rt.session, [held], moment)


def _to_cancel(said: Statement, found: Contract) -> tuple[int, str] | None:
    """Return what the account's own cancellation does; a cause or a gift is for a person."""
    row = found.row
    if said.kind is not DeclarationKind.END or said.is_for_cause or row is None:
        return None
    if not found.is_sure or row.is_gift or found.customer_id is None:
        return None
    return found.customer_id, row.public_id
