"""Erase somebody on request: at once, or as soon as nothing is under way for them any more.

Source: docs/decisions/0175-erasing-a-person.md.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.erasure import AlreadyErased, SubscriptionRuns, Waiting, waits_for
from storefront.domain.events import Actor
from storefront.models import Customer, ErasureRequest
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.erasure import drop_tokens, erase, read_standing
from storefront.operations.keys import AnyRow
from storefront.operations.merging import lock_accounts
from storefront.operations.outbox import LAST_MAIL, Message, enqueue
from storefront.runtime import Runtime

log = logging.getLogger(__name__)
#: As often as a renewal of the same subscriptions may come between.
TRIES = 5
#: Requests looked at in one run.
BATCH = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a request: done at once, or what it waits for."""

    is_done: bool
    waits: tuple[Waiting, ...] = ()


def ask_erasure(rt: Runtime, customer: str, who: Who | None = None) -> Asked:
    """Erase the customer with this public id now, or note that it is to be done.

    ``who`` is the staff user; without one the customer asks. Asking again looks again. Raises
    ``LookupError``, ``AlreadyErased`` (also for an account that was merged into another), and
    ``SubscriptionRuns`` while something goes on without an end: that is cancelled first.
    """
    by = who.public_id if who is not None else Actor.CUSTOMER.value

    def work() -> Asked:
        row = _locked(rt, customer)
        standing = read_standing(rt.session, row)
        if standing.endless:
            raise SubscriptionRuns(count=standing.endless)
        _note(rt, row.id, by)
        waits = waits_for(standing)
        if not waits:
            _finish(rt, row)
        if who is not None:
            after = {"waits": [wait.value for wait in waits]}
            action, moment = "customer.erasure_asked", rt.moment()
            audit.write(rt.session, who.id, action, customer, {}, after, moment, who.ip)
        rt.session.commit()
        return Asked(not waits, waits)

    try:
        return retrying(rt.session, work, TRIES)
    finally:
        rt.session.rollback()


def withdraw_erasure(rt: Runtime, customer: str, who: Who | None = None) -> bool:
    """Take a request back that still waits; False when there is none."""
    table, owner = table_of(ErasureRequest), table_of(Customer)

    def work() -> bool:
        mine = sa.select(owner.c.id).where(owner.c.public_id == customer)
        done = rt.session.execute(
            sa.update(table)
            .where(table.c.customer_id.in_(mine), table.c.state == "waiting")
            .values(state="withdrawn")
            .returning(table.c.id)
        ).one_or_none()
        if done is not None and who is not None:
            action, moment = "customer.erasure_withdrawn", rt.moment()
            audit.write(rt.session, who.id, action, customer, {}, {}, moment, who.ip)
        rt.session.commit()
        return done is not None

    return retrying(rt.session, work)


def finish_erasures(rt: Runtime) -> dict[str, int]:
    """Erase whoever asked for it and has nothing under way any more; the others wait on."""
    table, owner = table_of(ErasureRequest), table_of(Customer)
    with reading():
        refs = rt.session.scalars(
            sa.select(owner.c.public_id)
            .join(table, table.c.customer_id == owner.c.id)
            .where(table.c.state == "waiting")
            .order_by(table.c.id)
            .limit(BATCH)
        ).all()
        rt.session.rollback()
    erased = sum(_try(rt, ref) for ref in refs)

    def tokens() -> int:
        count = drop_tokens(rt.session)
        rt.session.commit()
        return count

    return {"erased": erased, "waiting": len(refs) - erased, "tokens": retrying(rt.session, tokens)}


def _try(rt: Runtime, customer: str) -> bool:
    """Erase one who waits if nothing is under way; nobody is held up by looking."""
    table, owner = table_of(ErasureRequest), table_of(Customer)
    with reading():
        seen = rt.session.execute(sa.select(owner).where(owner.c.public_id == customer)).one()
        waits = waits_for(read_standing(rt.session, seen))
        rt.session.rollback()
    if waits:
        return False

    def work() -> bool:
        row = _locked(rt, customer)
        state = rt.session.scalar(sa.select(table.c.state).where(table.c.customer_id == row.id))
        is_ready = state == "waiting" and not waits_for(read_standing(rt.session, row))
        if is_ready:
            _finish(rt, row)
        rt.session.commit()
        return is_ready

    try:
        return retrying(rt.session, work, TRIES)
    except AlreadyErased:
        # Asked for and merged, or erased by somebody else, in the same moment.
        return False
    finally:
        rt.session.rollback()


def _locked(rt: Runtime, customer: str) -> AnyRow:
    table = table_of(Customer)
    found = rt.session.scalar(sa.select(table.c.id).where(table.c.public_id == customer))
    if found is None:
        raise LookupError(customer)
    (row,) = lock_accounts(rt.session, [found])
    if row.erased_at is not None or row.merged_into_id is not None:
        raise AlreadyErased(customer=customer)
    return row


def _note(rt: Runtime, customer_id: int, by: str) -> None:
    table = table_of(ErasureRequest)
    values = {"state": "waiting", "asked_by": by, "asked_at": rt.now()}
    known = rt.session.scalar(sa.select(table.c.state).where(table.c.customer_id == customer_id))
    if known is None:
        rt.session.execute(sa.insert(table).values(customer_id=customer_id, **values))
    elif known != "waiting":
        mine = table.c.customer_id == customer_id
        rt.session.execute(sa.update(table).where(mine).values(**values))


def _finish(rt: Runtime, row: AnyRow) -> None:
    table, moment = table_of(ErasureRequest), rt.moment()
    erase(rt.session, row, moment)
    last = {"to": row.email, "locale": row.locale}
    key = f"mail:{LAST_MAIL}:{row.public_id}"
    enqueue(rt.session, [Message("mail", LAST_MAIL, key, last)], moment.now)
    rt.session.execute(
        sa.update(table)
        .where(table.c.customer_id == row.id)
        .values(state="done", done_at=moment.now)
    )
