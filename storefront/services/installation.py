"""The live-lock: a copied database neither charges nor mails until an owner confirms it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.charges import live_accounts
from storefront.database import retrying
from storefront.models import Installation
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.runtime import Runtime


def confirm(rt: Runtime, who: Who | None = None) -> None:
    """Bind the database to this site address and these gateway accounts.

    Until the next change of either, charges and mails go out from here. Confirm once after
    the first set-up, and again after a move; never on a copy. ``who`` is None on the command
    line, where nobody is signed in.
    """

    def work() -> None:
        now = rt.now()
        values = {
            "site_url": rt.settings.base_url,
            "accounts": live_accounts(rt),
            "confirmed_at": now,
        }
        table = table_of(Installation)
        is_postgresql = rt.session.get_bind().dialect.name == "postgresql"
        dialect = postgresql if is_postgresql else sqlite
        before = rt.session.execute(sa.select(table.c.site_url, table.c.accounts)).one_or_none()
        insert = dialect.insert(table).values(
            id=1, public_id=public_id("ins"), created_at=now, **values
        )
        rt.session.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))
        if who is not None:
            was = dict(before._mapping) if before else {}
            told = {"site_url": values["site_url"], "accounts": values["accounts"]}
            audit.write(
                rt.session, who.id, "installation.confirmed", "shop", was, told, rt.moment(), who.ip
            )
        rt.session.commit()

    retrying(rt.session, work)


def describe(rt: Runtime) -> str:
    """Return in one line what the database was confirmed for last; empty when never."""
    table = table_of(Installation)
    row = rt.session.execute(
        sa.select(table.c.site_url, table.c.accounts, table.c.confirmed_at)
    ).one_or_none()
    rt.session.rollback()
    if row is None or row.confirmed_at is None:
        return ""
    accounts = ", ".join(f"{name} {account}" for name, account in sorted(row.accounts.items()))
    return (
        f"{row.site_url} ({accounts or 'no live gateway'}), {row.confirmed_at:%Y-%m-%d %H:%M} UTC"
    )
