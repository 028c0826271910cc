"""The migrated schema is what models, triggers and partial indexes say, on both databases."""

import re
from datetime import date

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from storefront.models import (
    Base,
    Invoice,
    InvoiceLine,
    LedgerTransfer,
    Price,
    Subscription,
    SubscriptionEvent,
)
from storefront.models.partial_indexes import PARTIAL_INDEXES, index_statement
from storefront.models.triggers import all_triggers
from storefront.services.renewals import run_renewals
from storefront.testing import factories
from storefront.testing.population import populate

DUE = date(2027, 3, 12)


def plain(sql: str) -> str:
    return re.sub(r"\s+", " ", sql.replace("IF NOT EXISTS ", "")).strip()


def test_the_migrations_make_exactly_the_tables_of_the_models(rt):
    def wanted(_object, name, kind, *_):
        return not (kind == "index" and name in PARTIAL_INDEXES)

    with rt.session.get_bind().connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": wanted, "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_every_partial_index_is_there_to_the_letter(rt):
    with rt.session.get_bind().connect() as connection:
        if connection.dialect.name == "sqlite":
            rows = connection.execute(
                sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
            )
            found = {row.name: plain(row.sql) for row in rows if row.name in PARTIAL_INDEXES}
            assert found == {name: plain(index_statement(name)) for name in PARTIAL_INDEXES}
        else:
            rows = connection.execute(sa.text("SELECT indexname, indexdef FROM pg_indexes"))
            found = {row.indexname: row.indexdef for row in rows}
            for name, (_, rest, unique) in PARTIAL_INDEXES.items():
                assert (" WHERE " in found[name]) == (" WHERE " in rest), name
                assert ("UNIQUE" in found[name]) == unique, name


def test_every_trigger_is_there_and_no_other(rt):
    wanted = {trigger.name: trigger for trigger in all_triggers()}
    with rt.session.get_bind().connect() as connection:
        if connection.dialect.name == "sqlite":
            rows = connection.execute(
                sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            )
            found = {row.name: plain(row.sql) for row in rows}
            assert found == {name: plain(trigger.sqlite) for name, trigger in wanted.items()}
        else:
            rows = connection.execute(
                sa.text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
            )
            assert {row.tgname for row in rows} == set(wanted)


def test_every_check_of_the_models_is_in_the_database(rt):
    inspector = sa.inspect(rt.session.get_bind())
    for table in Base.metadata.sorted_tables:
        named = {
            str(check.name)
            for check in table.constraints
            if isinstance(check, sa.CheckConstraint) and check.name
        }
        found = {check["name"] for check in inspector.get_check_constraints(table.name)}
        assert named <= found, table.name


@pytest.fixture
def renewed(rt, clock):
    """One subscription that was renewed: rows in every table that is frozen."""
    plan = factories.make_plan(rt)
    populate(rt, plan, factories.price_of(rt, plan), 1, DUE)
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(LedgerTransfer).values(amount_minor=1),
        sa.delete(LedgerTransfer),
        sa.update(SubscriptionEvent).values(kind="other"),
        sa.update(Invoice).values(total_minor=Invoice.total_minor + 1),
        sa.update(Invoice).values(snapshot={"buyer": "somebody else"}),
        sa.delete(Invoice),
        sa.update(InvoiceLine).values(text="something else"),
        sa.update(Price).values(amount_minor=1),
    ],
    ids=lambda statement: f"{type(statement).__name__} {statement.table.name}",
)
def test_what_is_frozen_cannot_be_changed(rt, renewed, statement):
    with pytest.raises(sa.exc.DBAPIError, match=r"append-only|frozen|kept for ever"):
        rt.session.execute(statement)
    rt.session.rollback()


def test_what_may_move_moves(rt, renewed):
    rt.session.execute(sa.update(InvoiceLine).values(credited_minor=1))
    rt.session.execute(sa.update(Price).values(retired_at=rt.now()))
    rt.session.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(Invoice).values(due_minor=1),
        sa.update(Invoice).values(number=None),
        sa.update(Subscription).values(anchor_day=32),
        sa.update(InvoiceLine).values(credited_minor=99999),
    ],
    ids=["due", "number", "anchor", "credited"],
)
def test_a_sum_that_does_not_hold_is_refused(rt, renewed, statement):
    with pytest.raises(sa.exc.IntegrityError):
        rt.session.execute(statement)
    rt.session.rollback()
