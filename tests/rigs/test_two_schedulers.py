"""Two schedulers at once, a broken row among a hundred, and what a claim costs (T-01, T-12)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront import charges
from storefront.extensions import db
from storefront.models import Box, Invoice, InvoiceLine, ParkedWork, Subscription
from storefront.operations.charging import take_planned
from storefront.operations.references import new_references
from storefront.operations.results import Result
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.renewals import open_due, run_renewals
from storefront.testing import factories
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway
from storefront_demo_gateway.server import BankServer
from tests.rigs._shop import FIRST, make_app, open_shop
from tests.support.databases import Database
from tools.environment import ROOT, child_environ

DUE = 2000
#: Seconds for two processes to renew them all; they take about ten.
_LONGEST = 240


@pytest.fixture
def shop(database: Database, bank: BankServer, tmp_path: Path) -> Iterator[Flask]:
    """A shop with 2,000 subscribers who are all due now."""
    app = make_app(tmp_path, database.url, bank.address)
    with app.app_context():
        open_shop(app.extensions["storefront"], {"4242": DUE})
        db.session.remove()
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def schedule_twice(folder: Path, url: str, bank: str) -> list[dict[str, Any]]:
    """Let two processes begin in the same moment; returns their reports."""
    command = [sys.executable, "-W", "error", "-m", "tests.rigs._scheduler", folder, url, bank]
    both = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=child_environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in both:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.communicate(timeout=_LONGEST)[0]) for process in both]
    finally:
        for process in both:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.mark.slow
def test_two_schedulers_at_once_work_each_of_2000_rows_exactly_once(
    shop: Flask, bank: BankServer, database: Database, tmp_path: Path
):
    reports = schedule_twice(tmp_path, database.url, bank.address)

    assert sum(report["billed"] for report in reports) == DUE
    assert all(report["billed"] > 0 for report in reports), "one of them had nothing to do"
    assert bank.bank.executed_count() == DUE
    assert bank.bank.double_charges() == []
    with shop.app_context():
        rt: Runtime = shop.extensions["storefront"]
        lines = sa.select(
            sa.func.count(), sa.func.count(InvoiceLine.period_id.distinct())
        ).select_from(InvoiceLine)
        assert rt.session.execute(lines).one() == (DUE, DUE)
        assert count(rt, Invoice, Invoice.state == "paid") == DUE
        assert count(rt, Box) == DUE
        assert broken(rt.session) == {}


@pytest.fixture
def due(rt: Runtime, clock: FrozenClock):  # type: ignore[no-untyped-def]
    """Subscribe customers and let the day come on which they renew."""
    plan = factories.make_plan(rt)
    clock.advance(days=(FIRST - rt.today()).days)

    def make(many: int) -> list[int]:
        return populate(rt, plan, factories.price_of(rt, plan), many, FIRST)

    return make


def test_99_rows_finish_when_the_hundredth_violates_a_constraint(
    rt: Runtime, due, demo_gateway: DemoGateway
):
    ids = due(100)
    assert rt.settings.batch_size == 100
    # Its next period would take the number of the one it has.
    rt.session.execute(
        sa.update(Subscription).where(Subscription.id == ids[-1]).values(next_number=0)
    )
    rt.session.commit()

    report = run_renewals(rt)

    assert (report.claimed, report.billed, report.parked) == (100, 99, 1)
    assert demo_gateway.bank.executed_count() == 99
    assert count(rt, Box) == 99
    parked = rt.session.scalars(sa.select(ParkedWork)).one()
    broken_one = rt.session.scalars(sa.select(Subscription).where(Subscription.id == ids[-1])).one()
    assert (parked.kind, parked.subject) == ("renewal", broken_one.public_id)
    assert broken_one.parked_at is not None
    assert broken(rt.session) == {}


def test_a_claim_of_100_takes_as_many_statements_as_one_of_10(
    rt: Runtime, due, demo_gateway: DemoGateway
):
    # The first reference of an installation writes its row.
    new_references(rt.session, "pay", 1, rt.now())
    rt.session.commit()
    ten = statements_of(rt, due(10), demo_gateway)
    hundred = statements_of(rt, due(100), demo_gateway)

    for step, statements in ten.items():
        assert len(hundred[step]) == len(statements) > 0, "\n".join(hundred[step])
    assert demo_gateway.bank.executed_count() == count(rt, Box) == 110


def statements_of(rt: Runtime, ids: list[int], gateway: DemoGateway) -> dict[str, list[str]]:
    """Renew ``ids``; return the statements of each step, many rows in one being one statement.

    The steps are taken one by one, because how often a run looks for more to send depends on
    how fast its answers come.
    """
    seen: dict[str, list[str]] = {"open": [], "send": [], "record": []}
    with counted(seen["open"]):
        assert open_due(rt).billed == len(ids)
    with counted(seen["send"]):
        orders = take_planned(rt.session, rt.moment(), len(ids))
        rt.session.commit()
    answers = [Result(order.public_id, charges.ask(rt, order)) for order in orders]
    with counted(seen["record"]):
        assert charges.record(rt, answers).settled == len(ids)
    return seen


@contextmanager
def counted(seen: list[str]) -> Iterator[None]:
    def note(_connection, _cursor, statement, _values, _context, _many) -> None:  # type: ignore[no-untyped-def]
        seen.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


def count(rt: Runtime, model: type, *where: sa.ColumnElement[bool]) -> int:
    statement = sa.select(sa.func.count()).select_from(model).where(*where)
    return int(rt.session.scalar(statement) or 0)
