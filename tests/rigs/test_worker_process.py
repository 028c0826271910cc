"""The worker as a process of its own: it begins by itself and ends when it is told (R-19)."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.extensions import db
from storefront.models import Box, ChargeAttempt, JobRun, PaymentMethod, Subscription
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront_demo_gateway.cards import Behaviour
from storefront_demo_gateway.server import BankServer
from tests.rigs._shop import make_app, open_shop
from tests.support.databases import Database
from tools.environment import ROOT, child_environ

#: Seconds until a worker that was started has begun to work.
_START = 90
#: Seconds a worker that was told to end may take to finish its tick.
_GRACE = 30
#: Seconds the bank takes for each charge.
_SLOW = 1.0
DUE = 3


@pytest.fixture
def shop(database: Database, bank: BankServer, tmp_path: Path) -> Iterator[Flask]:
    """A shop in which three customers are due, and a bank that takes its time."""
    app = make_app(tmp_path, database.url, bank.address)
    with app.app_context():
        open_shop(app.extensions["storefront"], {"4242": DUE})
        for token in db.session.scalars(sa.select(PaymentMethod.token)):
            bank.bank.script(token, [Behaviour(delay=_SLOW)])
        db.session.remove()
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def worker(shop: Flask, database: Database, bank: BankServer, tmp_path: Path):  # type: ignore[no-untyped-def]
    """``storefront worker`` in that shop; killed if a test leaves it running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "storefront", "worker"],
        cwd=ROOT,
        env=child_environ(
            STOREFRONT_ENVIRONMENT="demo",
            STOREFRONT_DATA_DIR=str(tmp_path),
            STOREFRONT_DATABASE_URL=database.url,
            STOREFRONT_DEMO_GATEWAY_URL=bank.address,
            # One charge after the other, so that the signal comes in the middle.
            STOREFRONT_IN_FLIGHT="1",
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_a_worker_told_to_end_finishes_its_tick_and_leaves_nothing_half_done(
    shop: Flask, worker: subprocess.Popen[str], bank: BankServer
):
    wait_for(worker, lambda: bank.bank.executed_count() > 0)

    worker.send_signal(signal.SIGTERM)
    printed, _ = worker.communicate(timeout=_GRACE)

    assert worker.returncode == 0, printed
    assert "Traceback" not in printed
    assert bank.bank.executed_count() == DUE
    with shop.app_context():
        rt: Runtime = shop.extensions["storefront"]
        assert set(rt.session.scalars(sa.select(ChargeAttempt.state))) == {"succeeded"}
        assert rt.session.scalar(sa.select(sa.func.count()).select_from(Box)) == DUE
        # No lease is left: everybody is due again with the next period, a month from now.
        assert rt.session.scalars(sa.select(Subscription.renews_at)).first() is not None
        assert all(
            (renews_at - rt.now()).days > 20
            for renews_at in rt.session.scalars(sa.select(Subscription.renews_at))
        )
        noted = rt.session.get_one(JobRun, "renewals")
        assert noted.finished_at is not None
        assert (noted.report["billed"], noted.error) == (DUE, "")
        assert broken(rt.session) == {}


def wait_for(worker: subprocess.Popen[str], happened: Callable[[], bool]) -> None:
    """Wait until it ``happened``; fails at once when the worker ends by itself."""
    deadline = time.monotonic() + _START
    while not happened():
        assert worker.poll() is None, worker.communicate()[0]
        assert time.monotonic() < deadline, "the worker does not work"
        time.sleep(0.02)
