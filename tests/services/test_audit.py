"""The log of what staff did: append-only, in one chain, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.extensions import db
from storefront.models import AuditEntry
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.runtime import Runtime
from storefront.services.staff import add_staff


@pytest.fixture
def staff_id(rt: Runtime) -> int:
    add_staff(rt, email="mia@shop.example", name="Mia", password="a long password")
    found: int = rt.session.scalar(sa.text("SELECT id FROM staff")) or 0
    rt.session.rollback()
    return found


def write(rt: Runtime, staff_id: int, name: str) -> None:
    audit.write(
        rt.session, staff_id, "plan.saved", name, {"name": "Pot"}, {"name": name}, rt.moment()
    )
    rt.session.commit()


def change_a_row(action: str) -> None:
    """Change the past as somebody with the database's password could: without the trigger."""
    table = table_of(AuditEntry)
    with db.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(sa.text("DROP TRIGGER tr_audit_entry_no_update"))
            connection.execute(sa.text("DROP TRIGGER tr_audit_entry_no_delete"))
        else:
            connection.execute(sa.text("ALTER TABLE audit_entry DISABLE TRIGGER ALL"))
        second = sa.select(sa.func.min(table.c.id) + 1).scalar_subquery()
        key = connection.execute(sa.select(second)).scalar_one()
        if action == "delete":
            connection.execute(sa.delete(table).where(table.c.id == key))
        else:
            connection.execute(
                sa.update(table).where(table.c.id == key).values(after={"name": "x"})
            )
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ALTER TABLE audit_entry ENABLE TRIGGER ALL"))


def test_an_untouched_chain_is_unbroken(rt: Runtime, staff_id: int) -> None:
    for name in ("Pot", "Cup", "Table"):
        write(rt, staff_id, name)
    chain = audit.verify(rt.session)
    assert chain.is_unbroken
    assert chain.count == 4  # the three, and the staff user that was added
    assert chain.since == rt.now()


@pytest.mark.parametrize("action", ["update", "delete"])
def test_a_changed_past_is_seen(rt: Runtime, staff_id: int, action: str) -> None:
    for name in ("Pot", "Cup", "Table"):
        write(rt, staff_id, name)
    change_a_row(action)
    assert not audit.verify(rt.session).is_unbroken


def test_an_entry_can_neither_be_changed_nor_removed(rt: Runtime, staff_id: int) -> None:
    write(rt, staff_id, "Pot")
    table = table_of(AuditEntry)
    for statement in (sa.update(table).values(ip="elsewhere"), sa.delete(table)):
        with pytest.raises(sa.exc.DatabaseError):
            rt.session.execute(statement)
        rt.session.rollback()


def test_values_that_json_does_not_know_still_verify(rt: Runtime, staff_id: int) -> None:
    before = {"at": rt.now(), "day": rt.today(), "text": "Größe – ½"}
    audit.write(rt.session, staff_id, "x.y", "shop", before, {}, rt.moment())
    rt.session.commit()
    assert audit.verify(rt.session).is_unbroken


def test_two_writers_at_once_make_one_chain(app: Flask, rt: Runtime, staff_id: int) -> None:
    def some(worker: int) -> None:
        with app.app_context():
            for number in range(10):
                moment = rt.moment()
                later = type(moment)(moment.now + timedelta(seconds=number), moment.zone)
                audit.write(rt.session, staff_id, "x.y", f"{worker}", {}, {"n": number}, later)
                rt.session.commit()
            rt.session.remove()

    rt.session.rollback()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(some, range(2)))
    chain = audit.verify(rt.session)
    assert (chain.count, chain.is_unbroken) == (21, True)
