"""Two web processes and two workers on one database; everybody acts in the same moment.

    python3 dev.py rig race --rounds 20 --database postgresql

Described in ``docs/rigs.md``.
"""

import argparse
import json
import logging
import random
import sys
import time
from collections import Counter
from dataclasses import asdict
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from storefront.extensions import db
from storefront.models import DunningCase, Subscription
from storefront.runtime import Runtime
from storefront.services.cycles import plan_ahead
from storefront_demo_gateway.remote import RemoteBank
from tests.rigs import _race_accounts as accounts
from tests.rigs import _race_orders as orders
from tests.rigs._children import Children
from tests.rigs._processes import start_web, work
from tests.rigs._scene import LATER, Outcome, Scene, nine
from tests.rigs._shop import FIRST, make_app, open_shop, rig_folder
from tests.rigs._steps import compare_money, compare_orders, finish
from tests.rigs._verdict import judge_books
from tests.rigs._witness import ask_witness, start_witness

#: Web processes and workers.
WEBS, WORKERS = 2, 2
#: Every line of a round, by the name its fault has in the table of faults. C-14, something mounted
#: twice, is no race.
LINES = {
    "C-01": "order pressed ten times",
    "C-02": "one order in two tabs",
    "C-03": "the confirmation loaded anew",
    "C-04": "the last use of a code",
    "C-05": "the use of a refused payment given back",
    "C-06": "the last place, the last piece",
    "C-07": "another plan as the renewal comes",
    "C-08": "another card as the retry comes",
    "C-09": "leaving as the renewal comes",
    "C-10": "leaving while nobody knows about a charge",
    "C-11": "two of the staff refund one charge",
    "C-12": "a price set during an order",
    "C-13": "pause, skip and back in quick clicks",
    "C-15": "an address in the second of the lock",
    "C-16": "two accounts made one as both renew",
    "C-17": "erasing during an open charge",
    "W-01": "one message, twenty times",
    "W-09": "the bank's message beside the shopper",
}


def play(scene: Scene) -> None:
    """Play a month of the shop per round."""
    day = _month_after(FIRST)
    for number in range(scene.outcome.rounds):
        scene.move(nine(day - timedelta(days=1)))
        plan_ahead(scene.rt)
        orders.order(scene, number)
        orders.two_tabs(scene, number)
        orders.last_use(scene, number)
        orders.last_place(scene, number)
        orders.price_set(scene, number)
        accounts.refund_twice(scene)
        made = accounts.renewal_day(scene, day)
        accounts.tell_often(scene, made[-1])
        accounts.leave_unknown(scene, day + timedelta(days=1))
        accounts.quick_clicks(scene, made[0])
        accounts.merge_accounts(scene, day + timedelta(days=2))
        accounts.erase_open(scene)
        accounts.address_at_lock(scene, number)
        accounts.retry(scene)
        accounts.leave_old(scene)
        day = _month_after(day)


def play_cards(scene: Scene) -> None:
    """Play C-08 alone, one refused renewal a month."""
    day = _month_after(FIRST)
    for _number in range(scene.outcome.rounds):
        scene.move(nine(day - timedelta(days=1)))
        plan_ahead(scene.rt)
        accounts.refused(scene, day)
        accounts.retry(scene)
        accounts.leave_old(scene)
        day = _month_after(day)


def _month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=day.day)


#: Lines that can be played without the others.
ALONE = {"C-08": play_cards}


def _count(scene: Scene) -> None:
    outcome, own = scene.outcome, Subscription
    outcome.changed = scene.many(own, own.price_id == scene.other.id)
    outcome.left = scene.many(own, own.cancel_on.is_not(None))
    outcome.recovered = scene.many(DunningCase, DunningCase.state == "recovered")
    counted = Counter(str(status) for _, status in scene.seen)
    outcome.statuses = dict(sorted(counted.items()))
    wrong = [one for one in scene.seen if one[1] >= 500 and one[1] != LATER]
    outcome.faults += [f"{what}: {status}" for what, status in wrong[:10]]
    wanted = [outcome.only] if outcome.only else list(LINES)
    outcome.faults += [f"{name} was not played" for name in wanted if name not in outcome.lines]


def run(rounds: int, database: str, seed: int, only: str = "") -> Outcome:
    """Run the rig once, or only one of its lines; the faults of the outcome are what it found."""
    outcome, children, began = Outcome(database, seed, rounds, only), Children(), time.monotonic()
    with rig_folder(database) as (folder, url):
        try:
            witness_pid, address = start_witness(children, folder / "bank.db", url)
            app, errors = make_app(folder, url, address), folder / "errors.log"
            with app.app_context():
                rt: Runtime = app.extensions["storefront"]
                open_shop(rt, {})
                rt.session.remove()
                db.engine.dispose()
            ports = [start_web(children, app, errors) for _ in range(WEBS)]
            pids = children.pids - {witness_pid}
            pids |= {children.fork(partial(work, app, errors)) for _ in range(WORKERS)}
            logging.basicConfig(filename=errors, level=logging.ERROR, force=True)
            with app.app_context():
                scene = Scene(app, ask_witness(address), ports, outcome, children)
                ALONE[only](scene) if only else play(scene)
                _count(scene)
                exits = children.stop(pids)
                if any(exits):
                    outcome.faults.append(f"processes did not end well: {exits}")
                finish(rt, outcome.faults)
                _tell(outcome, rt, ask_witness(address), errors)
                db.session.remove()
                db.engine.dispose()
            children.stop({witness_pid})
        finally:
            children.kill_all()
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _tell(outcome: Outcome, rt: Runtime, bank: RemoteBank, errors: Path) -> None:
    charges = list(bank.charges_since(""))
    found = judge_books(rt, bank, charges, alike=False)
    outcome.charges, outcome.doubles, outcome.refunded = (
        found.charges, found.doubles, found.refunded,
    )  # fmt: skip
    money = compare_money(rt, charges)
    outcome.lost = sum(1 for what in money if what.startswith("lost"))
    outcome.faults += found.faults + money + compare_orders(rt, charges)
    logged = errors.read_text(encoding="utf-8") if errors.exists() else ""
    if logged:
        outcome.faults.append(f"errors were logged:\n{logged[:4000]}")


def table(outcome: Outcome) -> str:
    """Return the outcome as lines to read."""
    who = f"{outcome.database}, {outcome.rounds} rounds, seed {outcome.seed}"
    lines = [f"{who}: {outcome.seconds} s"]
    lines += ["         played   acts  wrong"]
    for name, line in sorted(outcome.lines.items()):
        lines.append(f"  {name:5}{line.played:8}{line.acts:7}{line.wrong:7}  {LINES[name]}")
        ends = sorted(line.ends.items())
        lines += [f"{many:35}  {how}" for how, many in ends]
    lines += [f"  {many:5}  answers {name}" for name, many in outcome.statuses.items()]
    names = ("charges", "doubles", "lost", "refunded", "changed", "left", "recovered")
    lines += [f"  {getattr(outcome, name):5}  {name}" for name in names]
    lines += [f"  FAULT  {fault}" for fault in outcome.faults] or ["      0  faults"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py rig race", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, help="default: drawn, and printed")
    parser.add_argument("--only", choices=sorted(ALONE), default="", help="one line, many times")
    parser.add_argument("--report", type=Path, help="write the outcome there as JSON, too")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    outcome = run(options.rounds, options.database, seed, options.only)
    print(table(outcome), flush=True)
    if options.report:
        options.report.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    return int(bool(outcome.faults))


if __name__ == "__main__":
    sys.exit(main())
