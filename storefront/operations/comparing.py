"""Rows of the comparison with gateways: our charges by page, differences, and each run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.charging import AttemptState
from storefront.domain.reconciliation import Difference
from storefront.models import ChargeAttempt, GatewayState, Reconciliation, Refund
from storefront.models import Difference as DifferenceRow
from storefront.models.base import public_id, table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment

#: Who settled a difference that a later comparison found gone.
BY_COMPARISON = "comparison"
_REFUND_OPEN = ("planned", "sent", "pending", "unknown")


def charges_named(
    session: AnySession, gateway: str, references: Sequence[str], at_gateway: Sequence[str]
) -> list[AnyRow]:
    """Return our charges by our references, or by the gateway's own names of them."""
    table = table_of(ChargeAttempt)
    named = sa.or_(
        table.c.public_id.in_(references),
        # The first half to the letter as in the index, or it would not be used.
        sa.and_(
            sa.text("charge_attempt.gateway_reference <> ''"),
            table.c.gateway_reference.in_(at_gateway),
        ),
    )
    return list(session.execute(_charges().where(table.c.gateway == gateway, named)))


def paid_charges(
    session: AnySession,
    gateway: str,
    account: str,
    since: datetime,
    until: datetime,
    after: int,
    size: int,
) -> list[AnyRow]:
    """Return what we have as paid and sent between the two, in key order behind ``after``."""
    table = table_of(ChargeAttempt)
    return list(
        session.execute(
            _charges()
            .where(
                table.c.gateway == gateway,
                table.c.account == account,
                table.c.state == AttemptState.SUCCEEDED,
                table.c.sent_at >= since,
                table.c.sent_at <= until,
                table.c.id > after,
            )
            .order_by(table.c.id)
            .limit(size)
        )
    )


def _charges() -> AnySelect:
    table, refund = table_of(ChargeAttempt), table_of(Refund)
    given_back = (
        sa.select(sa.func.coalesce(sa.func.sum(refund.c.amount_minor), 0))
        .where(refund.c.attempt_id == table.c.id, refund.c.state == AttemptState.SUCCEEDED)
        .scalar_subquery()
    )
    under_way = sa.exists().where(
        refund.c.attempt_id == table.c.id, refund.c.state.in_(_REFUND_OPEN)
    )
    return sa.select(
        table.c.id,
        table.c.public_id,
        table.c.account,
        table.c.state,
        table.c.amount_minor,
        table.c.currency,
        table.c.gateway_reference,
        given_back.label("given_back_minor"),
        under_way.label("is_refunding"),
    )


def note_differences(
    session: AnySession, gateway: str, found: Sequence[Difference], moment: Moment
) -> None:
    """Put differences before staff, each once; one that is back after it was gone is open again.

    What staff settled by hand stays settled until either side says something else.
    """
    table = table_of(DifferenceRow)
    known = _known(session, gateway, [one.reference for one in found])
    for one in found:
        row = known.get((one.kind.value, one.reference)) if one.reference else None
        values: dict[str, Any] = {
            "ours_minor": one.ours_minor,
            "theirs_minor": one.theirs_minor,
            "seen_at": moment.now,
        }
        if row is None:
            session.execute(_insert(session, gateway, one, values, moment))
            continue
        is_other = (row.ours_minor, row.theirs_minor) != (one.ours_minor, one.theirs_minor)
        if row.resolved_at is not None and (row.resolved_by == BY_COMPARISON or is_other):
            values |= {"resolved_at": None, "resolved_by": "", "found_at": moment.now}
        session.execute(sa.update(table).where(table.c.id == row.id).values(values))


def _known(
    session: AnySession, gateway: str, references: Sequence[str]
) -> dict[tuple[str, str], AnyRow]:
    if not references:
        return {}
    table = table_of(DifferenceRow)
    rows = session.execute(
        sa.select(table).where(table.c.gateway == gateway, table.c.reference.in_(references))
    )
    return {(row.kind, row.reference): row for row in rows}


def _insert(
    session: AnySession, gateway: str, one: Difference, seen: dict[str, Any], moment: Moment
) -> Any:
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    insert = (postgresql if is_postgresql else sqlite).insert(table_of(DifferenceRow))
    values = {
        "public_id": public_id("dif"),
        "gateway": gateway,
        "kind": one.kind.value,
        "reference": one.reference[:80],
        "gateway_reference": one.gateway_reference[:255],
        "currency": one.currency,
        "found_at": moment.now,
        **seen,
    }
    keys = ["gateway", "kind", "gateway_reference", "reference"]
    return insert.values(values).on_conflict_do_update(index_elements=keys, set_=seen)


def close_agreed(
    session: AnySession, gateway: str, references: Sequence[str], moment: Moment
) -> int:
    """Settle the open differences of charges just compared that are not there any more."""
    if not references:
        return 0
    table = table_of(DifferenceRow)
    closed = session.execute(
        sa.update(table)
        .where(
            table.c.gateway == gateway,
            table.c.resolved_at.is_(None),
            table.c.reference.in_(references),
            table.c.seen_at < moment.now,
        )
        .values(resolved_at=moment.now, resolved_by=BY_COMPARISON)
        .returning(table.c.id)
    ).all()
    return len(closed)


def oldest_open(session: AnySession, gateway: str) -> datetime | None:
    """Return when the oldest difference that is still open was found."""
    table = table_of(DifferenceRow)
    found: datetime | None = session.scalar(
        sa.select(sa.func.min(table.c.found_at)).where(
            table.c.gateway == gateway, table.c.resolved_at.is_(None)
        )
    )
    return found


def settle(session: AnySession, difference: str, by: str, note: str, moment: Moment) -> bool:
    """Have an open difference settled by hand; False when it is settled already."""
    table = table_of(DifferenceRow)
    found = session.execute(
        sa.update(table)
        .where(table.c.public_id == difference, table.c.resolved_at.is_(None))
        .values(resolved_at=moment.now, resolved_by=by[:40], note=note[:255])
        .returning(table.c.id)
    ).all()
    return bool(found)


def compared_until(session: AnySession, gateway: str, account: str) -> datetime | None:
    """Return up to when an account was compared; None before the first time."""
    table = table_of(GatewayState)
    found: datetime | None = session.scalar(
        sa.select(table.c.compared_until).where(
            table.c.gateway == gateway, table.c.account == account
        )
    )
    return found


def last_run(session: AnySession, gateway: str, account: str) -> AnyRow | None:
    """Return the newest comparison of an account, whether it could be done or not."""
    table = table_of(Reconciliation)
    return session.execute(
        sa.select(table)
        .where(table.c.gateway == gateway, table.c.account == account)
        .order_by(table.c.id.desc())
        .limit(1)
    ).one_or_none()


def note_run(session: AnySession, values: dict[str, Any]) -> None:
    """Write a comparison down; one that was done moves on up to when the account is compared."""
    session.execute(sa.insert(table_of(Reconciliation)).values(values))
    if not values["error"]:
        mark_compared(session, values["gateway"], values["account"], values["until"])


def mark_compared(session: AnySession, gateway: str, account: str, until: datetime | None) -> None:
    """Have an account count as compared until then."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    insert = (postgresql if is_postgresql else sqlite).insert(table_of(GatewayState))
    key = {"gateway": gateway, "account": account[:80]}
    session.execute(
        insert.values(**key, compared_until=until).on_conflict_do_update(
            index_elements=["gateway", "account"], set_={"compared_until": until}
        )
    )
