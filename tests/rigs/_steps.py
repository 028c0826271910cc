"""Kill at each named point of refunds, messages and orders, and compare shop and bank."""

from __future__ import annotations

import logging
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storefront.adapters import failpoints
from storefront.extensions import db
from storefront.jobs.work import run_job
from storefront.models import (
    Box,
    ChargeAttempt,
    Checkout,
    Dispute,
    GatewayEvent,
    Invoice,
    LedgerJournal,
    Refund,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime
from storefront.testing.client import Browser
from storefront_demo_gateway.records import BankCharge
from tests.rigs._children import Children
from tests.rigs._progress import next_check, state_of
from tests.rigs._shop import clock_of, make_app, rig_folder
from tests.rigs._stories import ENDING, STEP, STORIES, Stage, Story
from tests.rigs._verdict import count, judge_books
from tests.rigs._witness import ask_witness, start_witness

#: Moves of the clock until everything is over; orders lapse after some hours.
_MOST = 200
#: Seconds a process has to reach the point at which it dies.
_PATIENCE = 20.0


@dataclass
class StepOutcome:
    """What a run did, for the table and for the test."""

    what: str
    database: str
    seed: int
    kills: dict[str, int] = field(default_factory=dict)
    charges: int = 0
    doubles: int = 0
    refunds: int = 0
    disputes: int = 0
    subscriptions: int = 0
    unpaid_orders: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def run_steps(what: str, kills: int, database: str, seed: int) -> StepOutcome:
    """Kill ``kills`` times, each point at least once; the faults are what was found."""
    outcome, children, began = StepOutcome(what, database, seed), Children(), time.monotonic()
    story = STORIES[what]()
    with rig_folder(database) as (folder, url):
        try:
            witness_pid, address = start_witness(children, folder / "bank.db", url)
            app = make_app(folder, url, address)
            # A request must not share the session of the rig.
            app.test_client_class = Browser
            errors = folder / "errors.log"
            logging.basicConfig(filename=errors, level=logging.ERROR, force=True)
            with app.app_context():
                rt: Runtime = app.extensions["storefront"]
                stage = Stage(app, rt, ask_witness(address), random.Random(seed))
                points = _in_turn(story, max(kills, len(story.points)), stage.random)
                story.open(stage, len(points))
                for number, point in enumerate(points):
                    _kill_once(stage, story, number, point, children, outcome)
                outcome.kills = dict(Counter(points))
                finish(rt, outcome.faults)
                _tell(stage, outcome, errors)
                db.session.remove()
                db.engine.dispose()
            children.stop({witness_pid})
        finally:
            children.kill_all()
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _in_turn(story: Story, many: int, rng: random.Random) -> list[str]:
    points: list[str] = []
    while len(points) < many:
        points += rng.sample(story.points, len(story.points))
    return points[:many]


def _kill_once(
    stage: Stage,
    story: Story,
    number: int,
    point: str,
    children: Children,
    outcome: StepOutcome,
) -> None:
    case = story.prepare(stage, number, point)
    # A child must not inherit a connection.
    stage.rt.session.remove()
    db.engine.dispose()

    def die() -> None:
        failpoints.arm(f"{point}:kill")
        story.act(stage, case)

    code = _ended(children, children.fork(die))
    if code != signal.SIGKILL:
        outcome.faults.append(
            f"case {number}: {point} was not reached, the child ended with {code}"
        )
    story.go_on(stage, case, number)
    stage.rt.session.remove()


def _ended(children: Children, pid: int) -> int:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for ended, code in children.reap():
            if ended == pid:
                return code
            raise RuntimeError("the witness died")
        time.sleep(0.002)
    raise RuntimeError("a child neither died nor ended")


def finish(rt: Runtime, faults: list[str]) -> None:
    """Let jobs work and time pass until nothing is open, told or half ordered any more."""
    for _ in range(_MOST):
        for job in ENDING:
            run_job(rt, job)
        state = state_of(rt.session, rt.now(), 0)
        check = next_check(rt.session)
        # An order that nobody finishes lapses; what waits is looked at again before that.
        waits = _many(rt, GatewayEvent, GatewayEvent.state == "waiting")
        orders = _many(rt, Checkout, Checkout.state.in_(("open", "paying")))
        if not (state.asked or state.refunds or state.planned or waits or orders):
            return
        step = max(check, rt.now()) if check and not waits else rt.now() + STEP
        clock_of(rt).move_to(step + timedelta(seconds=1))
    faults.append(f"not settled: {state}, {waits} messages wait, {orders} orders open")


def _tell(stage: Stage, outcome: StepOutcome, errors: Path) -> None:
    rt, charges = stage.rt, list(stage.bank.charges_since(""))
    outcome.disputes = _many(rt, Dispute)
    found = judge_books(rt, stage.bank, charges, held=outcome.disputes)
    outcome.charges, outcome.doubles = found.charges, found.doubles
    outcome.faults += found.faults
    outcome.refunds = _many(rt, Refund)
    outcome.subscriptions = _many(rt, Subscription, Subscription.state == "active")
    outcome.unpaid_orders = _many(rt, Checkout, Checkout.state == "expired")
    outcome.faults += compare_money(rt, charges)
    outcome.faults += _compare_messages(rt, stage, charges)
    outcome.faults += compare_orders(rt, charges) + _compare_boxes(rt)
    logged = errors.read_text(encoding="utf-8") if errors.exists() else ""
    if logged:
        outcome.faults.append(f"errors were logged:\n{logged[:4000]}")


def compare_money(rt: Runtime, charges: list[BankCharge]) -> list[str]:
    """Every charge of the bank settles an invoice here; each refund went back exactly once."""
    attempt, invoice, refund = table_of(ChargeAttempt), table_of(Invoice), table_of(Refund)
    asked = (
        sa.select(sa.func.coalesce(sa.func.sum(refund.c.amount_minor), 0))
        .where(refund.c.attempt_id == attempt.c.id)
        .scalar_subquery()
    )
    rows = rt.session.execute(
        sa.select(
            attempt.c.public_id,
            attempt.c.state,
            attempt.c.settles,
            attempt.c.amount_minor,
            attempt.c.refunded_minor,
            invoice.c.state.label("invoice_state"),
            asked.label("asked"),
        ).join(invoice, invoice.c.id == attempt.c.invoice_id)
    )
    here = {row.public_id: row for row in rows if row.state == "succeeded"}
    faults = []
    for charge in charges:
        row = here.pop(charge.reference, None)
        if row is None or not _has_its_place(row):
            faults.append(f"lost: the bank took {charge.reference}, here it is {row}")
        elif not charge.refunded_minor == row.refunded_minor == row.asked:
            faults.append(
                f"{charge.reference}: given back {charge.refunded_minor} by the bank, "
                f"{row.refunded_minor} here, {row.asked} asked for"
            )
        elif charge.amount_minor != row.amount_minor:
            faults.append(f"{charge.reference}: the bank took another amount")
    return faults + [f"{reference} is paid here and unknown to the bank" for reference in here]


def _has_its_place(row: AnyRow) -> bool:
    """Return whether a charge pays its invoice, or all of it goes back: nothing was owed."""
    settles = row.settles and row.invoice_state == "paid"
    return bool(settles or row.asked == row.amount_minor)


def _compare_messages(rt: Runtime, stage: Stage, charges: list[BankCharge]) -> list[str]:
    """Each message is applied, and each dispute of the bank is one dispute booked once here."""
    at_bank = sum(len(stage.bank.disputes_of(charge.reference)) for charge in charges)
    journals = _many(rt, LedgerJournal, LedgerJournal.kind == "dispute_opened")
    here = _many(rt, Dispute)
    left = _many(rt, GatewayEvent, GatewayEvent.state != "applied")
    faults = [f"{left} messages were not applied"] if left else []
    if not at_bank == journals == here:
        faults.append(f"{at_bank} disputes at the bank, {here} here, {journals} booked")
    return faults


def compare_orders(rt: Runtime, charges: list[BankCharge]) -> list[str]:
    """An order that is done was paid once, and any other one was not."""
    taken = {charge.reference for charge in charges}
    attempt, invoice, checkout = table_of(ChargeAttempt), table_of(Invoice), table_of(Checkout)
    rows: list[Any] = list(
        rt.session.execute(
            sa.select(checkout.c.public_id, checkout.c.state, attempt.c.public_id.label("payment"))
            .outerjoin(invoice, invoice.c.checkout_id == checkout.c.id)
            .outerjoin(attempt, attempt.c.invoice_id == invoice.c.id)
        )
    )
    paid = Counter(row.public_id for row in rows if row.payment in taken)
    states = {row.public_id: row.state for row in rows}
    return [
        f"{key} is {state} and was charged {paid[key]} times"
        for key, state in states.items()
        if paid[key] != (1 if state == "done" else 0)
    ]


def _compare_boxes(rt: Runtime) -> list[str]:
    """Every order that is done has its subscription and its box."""
    orders = _many(rt, Checkout)
    done = _many(rt, Checkout, Checkout.state == "done")
    running, boxes = _many(rt, Subscription, Subscription.state == "active"), _many(rt, Box)
    if orders and not done == running == boxes:
        return [f"{done} orders paid, {running} subscriptions, {boxes} boxes"]
    return []


def _many(rt: Runtime, model: type, *where: Any) -> int:
    found = count(rt, table_of(model), *where)
    rt.session.rollback()
    return found


def table(outcome: StepOutcome) -> str:
    """Return the outcome as lines to read."""
    who = f"{outcome.what}, {outcome.database}, seed {outcome.seed}"
    lines = [f"{who}: {sum(outcome.kills.values())} kills in {outcome.seconds} s"]
    lines += [f"  {many:5}  {name}" for name, many in sorted(outcome.kills.items())]
    names = ("charges", "doubles", "refunds", "disputes", "subscriptions", "unpaid_orders")
    lines += [f"  {getattr(outcome, name):5}  {name}" for name in names]
    lines += [f"  FAULT  {fault}" for fault in outcome.faults] or ["      0  faults"]
    return "\n".join(lines)
