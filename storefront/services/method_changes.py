"""What a customer changes about stored methods: a backup, one for one subscription, none at all.

Source: docs/decisions/0127-payment-methods.md.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import sqlalchemy as sa

from storefront import charges
from storefront.database import reading, retrying
from storefront.domain.errors import DomainError
from storefront.models import PaymentMethod
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.method_choice import make_default, use_for
from storefront.operations.method_removal import (
    forgotten,
    is_under_way,
    other_methods,
    owes,
    own_method,
    pays_for,
    take_away,
    to_forget,
)
from storefront.operations.replanning import replan
from storefront.operations.setups import subscription_paid_by
from storefront.paying import MethodRefused, NotFound
from storefront.replacing import stop_waiting
from storefront.runtime import Runtime

log = logging.getLogger(__name__)
#: Methods that gateways are asked to forget in one run.
BATCH = 50


class MethodNeeded(DomainError):
    """It is the only one that could pay for what runs or is open; another is needed first."""

    code = "method_needed"


class MethodBusy(DomainError):
    """A charge with it has no answer yet."""

    code = "method_busy"


@dataclass(frozen=True, slots=True)
class Removed:
    """Which method pays instead: its public id; empty when nothing had to be paid by it."""

    instead: str = ""


def set_backup(rt: Runtime, customer_id: int, method: str, *, wanted: bool = True) -> bool:
    """Let ``method`` be tried when the one that should pay is refused, and no other.

    ``wanted`` False takes that back. False when nothing changed, as for the default itself.
    Raises ``NotFound`` or ``MethodRefused``.
    """
    table = table_of(PaymentMethod)

    def change() -> bool:
        row = _own(rt, customer_id, method)
        if row.is_default or row.is_backup == wanted:
            rt.session.rollback()
            return False
        mine = table.c.customer_id == customer_id
        rt.session.execute(sa.update(table).where(mine, table.c.is_backup).values(is_backup=False))
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(is_backup=wanted))
        rt.session.commit()
        return True

    return retrying(rt.session, change)


def use_for_one(rt: Runtime, customer_id: int, subscription: str, method: str) -> bool:
    """Let ``method`` pay for one subscription alone; the default one: it follows that again.

    What it owes is tried once with it. False when it paid already. Raises ``NotFound`` or
    ``MethodRefused``.
    """

    def change() -> list[int]:
        row = _own(rt, customer_id, method)
        key = subscription_paid_by(rt.session, customer_id, subscription)
        if key is None:
            raise NotFound(subscription=subscription)
        if key in pays_for(rt.session, customer_id, row.id):
            rt.session.rollback()
            return []
        moment = rt.moment()
        use_for(rt.session, [key], None if row.is_default else row.id, row.last4, moment)
        replan(rt.session, [key], rt.minimums, moment)
        rt.session.commit()
        return [key]

    moved = retrying(rt.session, change)
    stop_waiting(rt, moved)
    return bool(moved)


def remove_method(rt: Runtime, customer_id: int, method: str) -> Removed:
    """Take a stored method away; the worker has the gateway forget it.

    What it paid for is paid by the backup, otherwise by the default or the newest other one.
    Raises ``NotFound``, ``MethodBusy`` while a charge with it is under way, and
    ``MethodNeeded`` when nothing else could pay for what runs or is owed.
    """

    def change() -> tuple[Removed, list[int]]:
        row = _own(rt, customer_id, method, usable=False)
        if is_under_way(rt.session, row.id):
            raise MethodBusy(last4=row.last4)
        rest = other_methods(rt.session, customer_id, row.id)
        moved = pays_for(rt.session, customer_id, row.id)
        is_usable = row.refused_at is None
        if not rest and is_usable and (moved or owes(rt.session, customer_id)):
            raise MethodNeeded(last4=row.last4)
        moment = rt.moment()
        take_away(rt.session, row.id, moment)
        instead = next((one for one in rest if one.is_default), None)
        if instead is None and rest:
            instead = rest[0]
            make_default(rt.session, customer_id, instead.id)
        if instead is not None and moved:
            use_for(rt.session, moved, None, instead.last4, moment)
            replan(rt.session, moved, rt.minimums, moment)
        rt.session.commit()
        return Removed(instead.public_id if instead is not None and moved else ""), moved

    removed, moved = retrying(rt.session, change)
    stop_waiting(rt, moved)
    return removed


def forget_methods(rt: Runtime) -> dict[str, int]:
    """Have gateways forget what customers took away; one that is silent is asked again later.

    Nothing in a copied database: the original still charges those that were taken away here.
    """
    if not charges.is_unlocked(rt):
        return {"forgotten": 0, "silent": 0}
    with reading():
        rows = to_forget(rt.session, rt.moment(), BATCH)
        rt.session.rollback()
    gone = [row.id for row in rows if _is_gone(rt, row)]
    again = [row.id for row in rows if row.id not in gone]
    if rows:

        def write() -> None:
            forgotten(rt.session, gone, again, rt.moment())
            rt.session.commit()

        retrying(rt.session, write)
    return {"forgotten": len(gone), "silent": len(again)}


def _is_gone(rt: Runtime, row: AnyRow) -> bool:
    gateway = rt.gateways.get(row.gateway)
    if gateway is None or gateway.account != row.account:
        return False
    try:
        return gateway.detach(row.token)
    except Exception:
        log.exception("gateway %s did not forget method %s", row.gateway, row.id)
        return False


def _own(rt: Runtime, customer_id: int, method: str, *, usable: bool = True) -> AnyRow:
    row = own_method(rt.session, customer_id, method)
    if row is None:
        raise NotFound(method=method)
    if usable and row.refused_at is not None:
        raise MethodRefused(last4=row.last4)
    return row
