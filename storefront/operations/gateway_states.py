"""Whether a gateway account may be sent to now: stopped until a person looked, or slowed down.

A stop is our own fault or somebody else's attack: our key was refused, or the connection was
not the gateway's. Nothing is sent to it then, nobody is chased for it, and what waits is sent
when staff say so. Source: docs/decisions/0126-when-sending-stops-and-waits.md.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.models import GatewayState, ParkedWork
from storefront.models.base import table_of
from storefront.operations.keys import AnySelect, AnySession
from storefront.operations.moment import Moment

#: Kind of the parked work that tells a person; its subject is the name of the gateway.
PARKED_KIND = "gateway"


def is_stopped(charge: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition that the account of ``charge`` waits until a person looked.

    ``charge`` has the columns ``gateway`` and ``account``.
    """
    state = table_of(GatewayState).alias()
    return sa.exists().where(_same(state, charge), state.c.stopped_at.is_not(None))


def is_closed(charge: sa.FromClause) -> sa.ColumnElement[bool]:
    """As ``is_stopped``, or that it waits for a while; with the statement's parameter ``now``."""
    state = table_of(GatewayState).alias()
    now = sa.bindparam("now", type_=state.c.slow_until.type)
    return sa.exists().where(
        _same(state, charge), sa.or_(state.c.stopped_at.is_not(None), state.c.slow_until > now)
    )


def _same(state: sa.FromClause, charge: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(state.c.gateway == charge.c.gateway, state.c.account == charge.c.account)


def stopped_accounts(session: AnySession) -> set[tuple[str, str]]:
    """Return (gateway, account) of all that are stopped."""
    return {(row.gateway, row.account) for row in session.execute(_stopped())}


@cache
def _stopped() -> AnySelect:
    table = table_of(GatewayState)
    return sa.select(table.c.gateway, table.c.account).where(table.c.stopped_at.is_not(None))


def stop(session: AnySession, gateway: str, account: str, reason: str, moment: Moment) -> bool:
    """Stop sending to an account and put it before a person; False if it is stopped already."""
    table, parked = table_of(GatewayState), table_of(ParkedWork)
    _make(session, gateway, account)
    stopped = session.execute(
        sa.update(table)
        .where(table.c.gateway == gateway, table.c.account == account, table.c.stopped_at.is_(None))
        .values(stopped_at=moment.now, stopped_reason=reason[:40])
        .returning(table.c.id)
    ).all()
    if stopped:
        session.execute(
            sa.insert(parked).values(
                kind=PARKED_KIND,
                subject=gateway[:40],
                reason=reason[:80],
                detail=f"Account {account}: nothing is sent to it until somebody says try again.",
                parked_at=moment.now,
                resolved_by="",
            )
        )
    return bool(stopped)


def slow_down(session: AnySession, gateway: str, account: str, until: datetime) -> None:
    """Send nothing to an account before ``until``, or longer if it waits longer already."""
    table = table_of(GatewayState)
    _make(session, gateway, account)
    session.execute(
        sa.update(table)
        .where(
            table.c.gateway == gateway,
            table.c.account == account,
            sa.or_(table.c.slow_until.is_(None), table.c.slow_until < until),
        )
        .values(slow_until=until)
    )


def let_go_on(session: AnySession, gateway: str) -> bool:
    """Send to every account of a gateway again; False if none was stopped."""
    table = table_of(GatewayState)
    freed = session.execute(
        sa.update(table)
        .where(table.c.gateway == gateway, table.c.stopped_at.is_not(None))
        .values(stopped_at=None, stopped_reason="", slow_until=None)
        .returning(table.c.id)
    ).all()
    return bool(freed)


def _make(session: AnySession, gateway: str, account: str) -> None:
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table_of(GatewayState)).values(gateway=gateway, account=account)
    session.execute(insert.on_conflict_do_nothing(index_elements=["gateway", "account"]))
