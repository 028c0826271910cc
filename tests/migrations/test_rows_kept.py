"""A database with rows goes from the first revision to the newest and keeps every one of them."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storefront import database as engines
from storefront import migrate
from storefront.domain.charging import AttemptState
from storefront.models import ChargeAttempt, Refund
from storefront.models.base import public_id
from storefront.models.partial_indexes import PARTIAL_INDEXES
from storefront.models.triggers import all_triggers
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from tests.support.databases import Database, Databases

FIRST = "0001"
#: Rows that no step may touch, or whose table a step rebuilds.
NEEDED = {"charge_attempt", "invoice", "ledger_journal", "ledger_transfer", "refund", "plan"}
#: Its rows went into other tables; ``test_shipping_zones`` compares what they mean.
MOVED = {"shipping_rate"}
Rows = dict[str, list[dict[str, Any]]]


def test_every_row_of_the_first_revision_is_kept_with_its_triggers_and_indexes(
    rt: Runtime, clock: FrozenClock, database: Database, databases: Databases, tmp_path: Path
) -> None:
    live_through_a_renewal(rt, clock)
    old = at_first_revision(database, databases, tmp_path)
    tables = tables_of(old)
    before = rows_of(rt.session.get_bind(), tables)
    rt.session.rollback()
    assert {name for name, rows in before.items() if rows} >= NEEDED
    fill(old, tables, before)

    migrate.upgrade(old)

    assert rows_of(old, tables) == before
    assert migrate.schema_state(old).is_current
    found = triggers_of(old), indexes_of(old)
    assert found == ({each.name for each in all_triggers()}, set(PARTIAL_INDEXES))
    old.dispose()


def live_through_a_renewal(rt: Runtime, clock: FrozenClock) -> None:
    """Leave invoices, charges, books, boxes, and money on its way back."""
    plan = make.make_plan(rt)
    due = rt.today().replace(day=12)
    populate(rt, plan, make.price_of(rt, plan), 3, due)
    clock.advance(days=(due - rt.today()).days)
    run_renewals(rt)
    charge = rt.session.scalars(sa.select(ChargeAttempt).order_by(ChargeAttempt.id)).first()
    assert charge is not None
    rt.session.add(
        Refund(
            public_id=public_id("ref"),
            attempt_id=charge.id,
            amount_minor=1,
            currency=charge.currency,
            reason="",
            state=AttemptState.PLANNED,
            gateway_reference="",
            created_at=rt.now(),
        )
    )
    rt.session.commit()


def at_first_revision(database: Database, databases: Databases, folder: Path) -> sa.Engine:
    if database.kind == "sqlite":
        engine = engines.create_engine(f"sqlite:///{folder / 'old.db'}")
    else:
        engine = engines.create_engine(databases.new_postgresql().url)
        with engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
    migrate.upgrade(engine, FIRST)
    return engine


def tables_of(engine: sa.Engine) -> list[sa.Table]:
    reflected = sa.MetaData()
    reflected.reflect(engine)
    left = {"alembic_version", *MOVED}
    return [table for table in reflected.tables.values() if table.name not in left]


def rows_of(bind: Any, tables: list[sa.Table]) -> Rows:
    """Return all rows, in the columns of the first revision."""
    found: Rows = {}
    with bind.connect() as connection:
        for table in tables:
            chosen = sa.select(*table.columns).order_by(*table.primary_key.columns)
            found[table.name] = [dict(row) for row in connection.execute(chosen).mappings()]
    return found


def fill(engine: sa.Engine, tables: list[sa.Table], rows: Rows) -> None:
    """Write ``rows`` as they are, in whatever order, past keys and triggers."""
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        if is_sqlite:
            driver.execute("PRAGMA foreign_keys = OFF")
        else:
            connection.execute(sa.text("SET session_replication_role = replica"))
        for table in tables:
            connection.execute(sa.delete(table))
            if rows[table.name]:
                connection.execute(sa.insert(table), rows[table.name])
        if not is_sqlite:
            connection.execute(sa.text("SET session_replication_role = DEFAULT"))
        connection.commit()
        if is_sqlite:
            driver.execute("PRAGMA foreign_keys = ON")


def triggers_of(engine: sa.Engine) -> set[str]:
    asked = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }
    with engine.connect() as connection:
        return set(connection.scalars(sa.text(asked[engine.dialect.name])))


def indexes_of(engine: sa.Engine) -> set[str]:
    asked = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
        "postgresql": "SELECT indexname FROM pg_indexes",
    }
    with engine.connect() as connection:
        return set(connection.scalars(sa.text(asked[engine.dialect.name]))) & set(PARTIAL_INDEXES)
