"""Ask for a change after the cut-off, and accept or refuse it.

Source: docs/decisions/0182-late-changes.md, 0193-late-changes-of-contents.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.late_changes import LateKind, LateState, kinds_for, settled
from storefront.models import (
    Box,
    BoxCycle,
    Customer,
    LateChange,
    ProductVariant,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations import late_changes as work
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.late_contents import (
    LateOffer,
    Verdict,
    as_stored,
    change_contents,
    judge,
    late_offer,
)
from storefront.operations.shortage_credits import Credit
from storefront.runtime import Runtime

T = TypeVar("T")
NOTE_MOST = 400
#: How the log of the staff calls a decision.
_ACTIONS = {
    LateState.ACCEPTED: "late_change.accepted",
    LateState.REFUSED: "late_change.refused",
    LateState.EXPIRED: "late_change.expired",
}


class LateNotFound(DomainError):
    """No such box or wish."""

    code = "late_not_found"


class NotAskable(DomainError):
    """The box can be changed by its owner still, or is with the packers already."""

    code = "not_askable"


class AlreadyAsked(DomainError):
    """A wish about this box waits for a decision."""

    code = "already_asked"


class WishIncomplete(DomainError):
    """``part``: an address has street, postcode and city; a refusal has a reason."""

    code = "wish_incomplete"


class AlreadyDecided(DomainError):
    """Somebody decided before: ``state``."""

    code = "already_decided"


class MoneyElsewhere(DomainError):
    """The box is not paid, or the bank has its money: nothing can be credited now."""

    code = "money_elsewhere"


class NotDeliveredThere(DomainError):
    """Nothing is sent to the address, or nobody knows in which country it is."""

    code = "not_delivered_there"


class ContentsRefused(DomainError):
    """The box cannot hold that; ``verdict`` says why, None: nothing in it changes any more."""

    code = "contents_refused"

    def __init__(self, verdict: Verdict | None = None) -> None:
        super().__init__()
        self.verdict = verdict


class NothingAsked(DomainError):
    """The box holds just that."""

    code = "nothing_asked"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a box; ``address`` has those of ``work.PARTS`` that were typed.

    Of other contents either ``picks``, pieces for one box by variant, or ``swaps``, what comes
    instead by product of the recipe; all of them, as they are to be.
    """

    kind: LateKind
    address: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    picks: Mapping[str, int] = field(default_factory=dict)
    swaps: Mapping[str, str] = field(default_factory=dict)


def ask_late(rt: Runtime, customer_id: int, subscription: str, cycle: str, wish: Wish) -> str:
    """Put a customer's wish about the box of ``cycle`` into the queue; returns its public id.

    Raises ``LateNotFound``, ``NotAskable``, ``AlreadyAsked``, ``WishIncomplete``, and for other
    contents ``ContentsRefused`` and ``NothingAsked``.
    """
    table, box, round_ = table_of(Subscription), table_of(Box), table_of(BoxCycle)

    def write() -> str:
        row = work.locked_box(
            rt.session,
            table.c.customer_id == customer_id,
            table.c.public_id == subscription,
            round_.c.public_id == cycle,
            box.c.kind == "regular",
            box.c.state != "canceled",
        )
        if row is None:
            raise LateNotFound(cycle=cycle)
        customer = table_of(Customer)
        ref = rt.session.scalar(sa.select(customer.c.public_id).where(customer.c.id == customer_id))
        return _ask(rt, row, wish, ("customer", str(ref)))

    return _whole(rt, write)


def ask_late_for(rt: Runtime, who: Who, box_ref: str, wish: Wish) -> str:
    """Put a wish into the queue that a subscriber told staff; raises as ``ask_late`` does."""

    def write() -> str:
        row = work.locked_box(rt.session, table_of(Box).c.public_id == box_ref)
        if row is None:
            raise LateNotFound(box=box_ref)
        return _ask(rt, row, wish, ("staff", who.public_id))

    return _whole(rt, write)


def _ask(rt: Runtime, row: AnyRow, wish: Wish, asked: tuple[str, str]) -> str:
    allowed = kinds_for(
        row.kind,
        row.state,
        row.cutoff_on,
        rt.today(),
        has_batch=row.batch_id is not None,
        is_gift=row.is_gift,
    )
    if wish.kind not in allowed:
        raise NotAskable(box=row.public_id)
    parts: dict[str, str] = {}
    if wish.kind is LateKind.ADDRESS:
        parts = {part: wish.address[part] for part in work.PARTS if part in wish.address}
        missing = [one for one in ("name", "street", "postcode", "city") if not parts.get(one)]
        if missing:
            raise WishIncomplete(part=missing[0])
    stored = _contents(rt, row, wish) if wish.kind is LateKind.CONTENTS else {}
    note = wish.note[:NOTE_MOST]
    try:
        ref = work.insert_wish(
            rt.session, row.id, wish.kind, parts, stored, note, asked, rt.moment()
        )
    except sa.exc.IntegrityError as error:
        raise AlreadyAsked(box=row.public_id) from error
    rt.session.commit()
    return ref


def _contents(rt: Runtime, row: AnyRow, wish: Wish) -> dict[str, Any]:
    late = late_offer(rt.session, row)
    if late is None:
        raise NotAskable(box=row.public_id)
    wanted = _wanted(rt, late, wish)
    verdict = judge(rt.session, late, wanted)
    if not verdict.is_good:
        raise ContentsRefused(verdict)
    if late.share(wanted) == late.share(late.now):
        raise NothingAsked(box=row.public_id)
    return as_stored(late, wanted)


def _wanted(rt: Runtime, late: LateOffer, wish: Wish) -> dict[int, int]:
    """Return what is asked for by id; a product that nobody knows is not offered."""
    table = table_of(ProductVariant)
    refs = {*wish.picks, *wish.swaps, *wish.swaps.values()}
    rows = rt.session.execute(
        sa.select(table.c.public_id, table.c.id).where(table.c.public_id.in_(refs))
    )
    known = {row.public_id: row.id for row in rows}
    if refs - set(known):
        raise ContentsRefused(Verdict(not_offered=(0,)))
    if late.swaps is None:
        return {known[ref]: pieces for ref, pieces in wish.picks.items() if pieces}
    swaps = {known[own]: known[other] for own, other in wish.swaps.items()}
    return {own: other for own, other in swaps.items() if own != other}


def accept_late(rt: Runtime, who: Who, ref: str) -> LateState:
    """Do what was asked, unless the box was exported meanwhile: then the wish expires.

    A box that is kept back is credited to who paid it and its stock released, one that is to
    hold something else is packed anew, all in one transaction. Raises ``LateNotFound``,
    ``AlreadyDecided``, ``MoneyElsewhere``, ``NotDeliveredThere`` and ``ContentsRefused``.
    """

    def decide(row: AnyRow, wish: AnyRow) -> tuple[LateState, Credit]:
        state = settled(LateState.OPEN, LateState.ACCEPTED, is_open_box=work.is_open_box(row))
        if state is not LateState.ACCEPTED:
            return state, Credit()
        if wish.kind == LateKind.ADDRESS:
            if not work.redirect_box(rt.session, row, wish.address):
                raise NotDeliveredThere(wish=ref)
            return state, Credit()
        if wish.kind == LateKind.CONTENTS:
            moment = rt.moment()
            found = change_contents(rt.session, row, wish.contents, who.public_id, moment)
            if found is None or not found.is_good:
                raise ContentsRefused(found)
            return state, Credit()
        credit = work.keep_back(rt.session, row, who, rt.moment())
        if credit is None:
            raise MoneyElsewhere(wish=ref)
        return state, credit

    return _decide(rt, who, ref, decide, "")


def refuse_late(rt: Runtime, who: Who, ref: str, reason: str) -> LateState:
    """Refuse a wish with a reason its owner reads. Raises as ``accept_late`` does, and
    ``WishIncomplete`` without a reason."""
    if not reason.strip():
        raise WishIncomplete(part="reason")

    def decide(row: AnyRow, _wish: AnyRow) -> tuple[LateState, Credit]:
        is_open = work.is_open_box(row)
        return settled(LateState.OPEN, LateState.REFUSED, is_open_box=is_open), Credit()

    return _decide(rt, who, ref, decide, reason[:NOTE_MOST])


def _decide(
    rt: Runtime,
    who: Who,
    ref: str,
    decide: Callable[[AnyRow, AnyRow], tuple[LateState, Credit]],
    reason: str,
) -> LateState:
    def write() -> LateState:
        session, moment = rt.session, rt.moment()
        wish, row = _open_wish(rt, ref)
        state, credit = decide(row, wish)
        said = reason if state is LateState.REFUSED else ""
        minor = credit.minor
        if not work.close_wish(session, wish.id, state, who.public_id, said, minor, moment):
            raise AlreadyDecided(state=LateState.OPEN)
        work.tell(session, row, wish, state, said, credit, moment)
        after: dict[str, Any] = {"box": row.public_id, "kind": wish.kind, "reason": said}
        audit.write(session, who.id, _ACTIONS[state], ref, {}, after, moment, who.ip)
        session.commit()
        return state

    return _whole(rt, write)


def _open_wish(rt: Runtime, ref: str) -> tuple[AnyRow, AnyRow]:
    """Return a wish that is not decided, and its box, locked."""
    table, session = table_of(LateChange), rt.session
    wish = session.execute(sa.select(table).where(table.c.public_id == ref)).one_or_none()
    if wish is None:
        raise LateNotFound(wish=ref)
    if wish.kind == LateKind.CONTENTS:
        work.hold_subscription(session, wish.box_id)
    row = work.locked_box(session, table_of(Box).c.id == wish.box_id)
    if row is None:
        raise LateNotFound(wish=ref)
    # Read again behind the lock of the box.
    now = session.scalar(sa.select(table.c.state).where(table.c.id == wish.id))
    if now != LateState.OPEN:
        raise AlreadyDecided(state=now)
    return wish, row


def _whole(rt: Runtime, work_of_one: Callable[[], T]) -> T:
    """Run a transaction, again when the database asks for it; a refusal leaves none open."""
    try:
        return retrying(rt.session, work_of_one)
    except DomainError:
        rt.session.rollback()
        raise
