"""Charge over a bad line to the bank and count what was charged.

    python3 dev.py rig faults --charges 1000 --seed 5

Described in ``docs/rigs.md``.
"""

import argparse
import json
import logging
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import sqlalchemy as sa

from storefront.extensions import db
from storefront.jobs.work import DUNNING, LOOK_UPS, REFUNDS, RENEWALS, run_job
from storefront.models import DunningCase
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.cycles import plan_ahead
from storefront_demo_gateway.gateway import DemoGateway
from storefront_demo_gateway.records import AnyBank
from storefront_demo_gateway.remote import RemoteBank
from tests.rigs._children import Children
from tests.rigs._progress import State, asked_about, next_check, state_of
from tests.rigs._proxy import PATIENCE, BadLine, Fault
from tests.rigs._shop import clock_of, make_app, open_shop, rig_folder
from tests.rigs._verdict import judge
from tests.rigs._witness import ask_witness, start_witness
from tests.rigs.kill import never_look_up

#: Share of calls that meet a fault while charges are sent, and while they are looked up.
SHARE, SHARE_LATER = 0.6, 0.4
#: Times that the clock is moved to the next look-up before the line is good again.
_BAD_LOOKS = 3
#: One customer in so many cancels while the bank is being asked: what it takes then goes back.
_LEAVES = 25
#: Moves of the clock that the end may take.
_MOST = 60
_JOBS = (LOOK_UPS, RENEWALS, DUNNING, REFUNDS)


@dataclass
class Outcome:
    """What a run did, for the table and for the test."""

    seed: int
    due: int
    met: dict[str, int] = field(default_factory=dict)
    #: Charges without an answer after everybody was asked for once.
    unknown: int = 0
    cancelled: int = 0
    charges: int = 0
    doubles: int = 0
    refunded: int = 0
    boxes: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def run(charges: int, database: str, seed: int, *, naive: bool = False) -> Outcome:
    """Run the rig once; the faults of the outcome are what it found."""
    if naive:
        never_look_up()
    outcome, children, began = Outcome(seed, charges), Children(), time.monotonic()
    with rig_folder(database) as (folder, url):
        try:
            witness_pid, address = start_witness(children, folder / "bank.db", url)
            # Nothing is forked from here on, so there may be threads.
            line = BadLine(address, seed, SHARE)
            line.start()
            logging.basicConfig(filename=folder / "errors.log", level=logging.ERROR, force=True)
            app = make_app(folder, url, line.address)
            with app.app_context():
                rt: Runtime = app.extensions["storefront"]
                _wait_briefly(rt, line.address)
                open_shop(rt, {"4242": charges})
                _live(rt, line, outcome)
                line.stop()
                _tell(outcome, rt, line, address, folder / "errors.log")
                db.session.remove()
                db.engine.dispose()
            children.stop({witness_pid})
        finally:
            children.kill_all()
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _wait_briefly(rt: Runtime, address: str) -> None:
    gateway = rt.gateways["demo"]
    assert isinstance(gateway, DemoGateway)
    gateway.bank = cast(AnyBank, RemoteBank(address, timeout=PATIENCE))


def _live(rt: Runtime, line: BadLine, outcome: Outcome) -> None:
    """Renew everybody, let some leave meanwhile, and look until nothing is open."""
    plan_ahead(rt)
    run_job(rt, RENEWALS)
    outcome.unknown = _state(rt).asked
    for _ in range(outcome.due // _LEAVES):
        found = asked_about(rt.session)
        rt.session.rollback()
        if found is not None:
            cancel(rt, *found)
            outcome.cancelled += 1
    line.share = SHARE_LATER
    for move in range(_MOST):
        if move == _BAD_LOOKS:
            line.share = 0
        _work(rt)
        coming = _next_due(rt)
        if coming is None:
            return
        clock_of(rt).move_to(max(coming, rt.now()) + timedelta(seconds=1))
    outcome.faults.append(f"not settled after {_MOST} moves of the clock: {_state(rt)}")


def _work(rt: Runtime) -> None:
    """Let every job run until none of them has anything to do now."""
    before, state = None, _state(rt)
    for _ in range(_MOST):
        if state == before and not state.is_busy:
            return
        for job in _JOBS:
            run_job(rt, job)
        before, state = state, _state(rt)


def _state(rt: Runtime) -> State:
    state = state_of(rt.session, rt.now(), 0)
    rt.session.rollback()
    return state


def _next_due(rt: Runtime) -> datetime | None:
    """Return when the next look-up or the next try of a declined charge comes; None: never."""
    case = table_of(DunningCase)
    retry = rt.session.scalar(sa.select(sa.func.min(case.c.next_at)).where(case.c.state == "open"))
    check = next_check(rt.session)
    rt.session.rollback()
    return min((each for each in (retry, check) if each is not None), default=None)


def _tell(outcome: Outcome, rt: Runtime, line: BadLine, address: str, errors: Path) -> None:
    found = judge(rt, ask_witness(address))
    outcome.met = {str(fault or "let through"): many for fault, many in line.met.items()}
    outcome.charges, outcome.doubles = found.charges, found.doubles
    outcome.refunded, outcome.boxes = found.refunded, found.boxes
    outcome.faults += found.faults
    if found.renewals != outcome.due:
        outcome.faults.append(f"{found.renewals} periods of {outcome.due}")
    logged = errors.read_text(encoding="utf-8") if errors.exists() else ""
    if logged:
        outcome.faults.append(f"errors were logged:\n{logged[:4000]}")


def table(outcome: Outcome) -> str:
    """Return the outcome as lines to read."""
    lines = [f"{outcome.due} due, seed {outcome.seed}: {outcome.seconds} s"]
    names = ["let through", *Fault]
    lines += [f"  {outcome.met.get(str(name), 0):5}  {name}" for name in names]
    counted = ("unknown", "cancelled", "charges", "doubles", "refunded", "boxes")
    lines += [f"  {getattr(outcome, name):5}  {name}" for name in counted]
    lines += [f"  FAULT  {fault}" for fault in outcome.faults] or ["      0  faults"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py rig faults", description=__doc__.splitlines()[0])
    parser.add_argument("--charges", type=int, default=1000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, help="default: drawn, and printed")
    parser.add_argument(
        "--naive", action="store_true", help="an engine that guesses instead of looking up"
    )
    parser.add_argument("--report", type=Path, help="write the outcome there as JSON, too")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    outcome = run(options.charges, options.database, seed, naive=options.naive)
    print(table(outcome), flush=True)
    if options.report:
        options.report.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    return int(bool(outcome.faults))


if __name__ == "__main__":
    sys.exit(main())
