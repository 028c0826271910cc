"""Two web processes and two workers on one database; everybody acts in the same moment.

    python3 dev.py rig race --rounds 20 --database postgresql

Described in ``docs/rigs.md``.
"""

import argparse
import json
import logging
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from storefront.extensions import db
from storefront.models import (
    ChargeAttempt,
    Checkout,
    CreditNote,
    DunningCase,
    GatewaySetup,
    Invoice,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.cycles import plan_ahead
from storefront.services.sessions import start_session, start_staff_session
from storefront.testing import factories
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import sign_webhook
from storefront_demo_gateway.remote import RemoteBank
from tests.rigs._children import Children
from tests.rigs._processes import start_web, work
from tests.rigs._shop import FIRST, clock_of, make_app, open_shop, rig_folder
from tests.rigs._steps import compare_money, compare_orders, finish
from tests.rigs._stories import message
from tests.rigs._tabs import Page, Tab, at_once, signed_in
from tests.rigs._verdict import judge_books
from tests.rigs._witness import ask_witness, start_witness
from tests.support.admin import make_staff

#: Web processes and workers.
WEBS, WORKERS = 2, 2
#: How often one button is pressed, one page loaded anew, one message sent.
CLICKS, RELOADS, COPIES = 10, 4, 20
#: Cards of those who are due; 0408 is charged without an answer.
_SILENT, _REFUSED = "0408", "0341"
_DUE_CARDS = ("4242", "4242", _SILENT)
#: Statuses of an answer that a browser or a gateway may get under load, besides pages.
_LATER = 503
ADDRESS = {
    "name": "Ada Lovelace",
    "country": "DE",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
}


@dataclass
class Outcome:
    """What a run did, for the table and for the test."""

    database: str
    seed: int
    rounds: int
    acts: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    charges: int = 0
    doubles: int = 0
    refunded: int = 0
    #: Plans changed, subscriptions that end, charges that another card paid.
    changed: int = 0
    left: int = 0
    recovered: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class Race:
    """One shop, and a month of it per round."""

    def __init__(
        self, app: Flask, bank: RemoteBank, ports: list[int], outcome: Outcome, children: Children
    ) -> None:
        self._app, self._bank, self._ports, self._outcome = app, bank, ports, outcome
        self._children = children
        self._rt: Runtime = app.extensions["storefront"]
        self._rng = random.Random(outcome.seed)
        self._seen: list[tuple[str, int]] = []
        self._acts: Counter[str] = Counter()
        self._staff = make_staff(self._rt).id
        self._plan = self._rt.session.scalars(sa.select(Plan)).one()
        self._rt.session.expunge_all()
        self._rt.session.rollback()
        self._price = factories.price_of(self._rt, self._plan)
        self._other = factories.make_price(
            self._rt, self._plan, amount_minor=7200, unit="month", count=3
        ).public_id
        self._old: list[list[int]] = []

    def run(self) -> None:
        day = _month_after(FIRST)
        for number in range(self._outcome.rounds):
            self._move(day - timedelta(days=1))
            plan_ahead(self._rt)
            self._order(number)
            self._refund_twice()
            self._renewal_day(day)
            self._tell_often()
            self._retry()
            self._leave_old()
            day = _month_after(day)
        self._outcome.changed = self._many(Subscription, Subscription.price_id != self._price.id)
        self._outcome.left = self._many(Subscription, Subscription.cancel_on.is_not(None))
        self._outcome.recovered = self._many(DunningCase, DunningCase.state == "recovered")
        self._outcome.acts = dict(self._acts)
        counted = Counter(str(status) for _, status in self._seen)
        self._outcome.statuses = dict(sorted(counted.items()))
        wrong = [one for one in self._seen if one[1] >= 500 and one[1] != _LATER]
        self._outcome.faults += [f"{what}: {status}" for what, status in wrong[:10]]

    # ---------------------------------------------------------------------------- the rounds

    def _order(self, number: int) -> None:
        """C-01, W-09, C-03: ten clicks on order, ten on the way back, the page loaded anew."""
        tab, email = self._tab(), f"racer{number}@example.org"
        tab.get(f"/checkout?plan={self._plan.code}")
        begun = tab.post("/checkout", plan=self._plan.code)
        key = begun.location.split("/")[2]
        tab.post(f"/checkout/{key}/delivery", email=email, **ADDRESS)
        quote = tab.get(f"/checkout/{key}/pay").field("quote")
        clicks = self._press(
            "order",
            [partial(tab.again().post, f"/checkout/{key}/pay", quote=quote, consent="y")] * CLICKS,
        )
        away = {page.location for page in clicks if "/x/" in page.location}
        if not away:
            self._fault(f"order {key}: no click led to the bank: {clicks[0]}")
            return
        for place in away:
            self._bank.choose(place.rpartition("/")[2], self._rng.choice(("4242", "0408")))
        raw = message(self._rt, f"evt_order_{number}", "setup", self._set_up_of(key))
        self._press(
            "come back, and the bank says so",
            [partial(tab.again().post, f"/checkout/{key}/finish") for _ in range(CLICKS)]
            + [partial(self._hear, raw)] * 2,
        )
        self._press(
            "load the page anew",
            [partial(tab.again().get, f"/checkout/{key}/confirmation")] * RELOADS
            + [partial(tab.again().post, f"/checkout/{key}/finish")] * RELOADS,
        )

    def _refund_twice(self) -> None:
        """C-11: two of the staff give the same charge back, each with two clicks."""
        invoice = self._rt.session.scalars(
            sa.select(Invoice.public_id)
            .where(Invoice.state == "paid", Invoice.credited_minor == 0)
            .order_by(Invoice.id.desc())
        ).first()
        self._rt.session.rollback()
        if invoice is None:
            return
        url, presses = f"/admin/documents/{invoice}/refund", []
        for _ in range(2):
            tab = self._desk()
            wish = _fields(tab.get(url)) | {
                "way": "card", "reason": "refund", "afterwards": "keep",
            }  # fmt: skip
            shown = _fields(tab.post(url, **wish))
            presses += [partial(tab.again().post, url, **shown)] * 2
        self._press("refund", presses)
        notes = self._many(CreditNote, CreditNote.invoice_id == self._key_of(Invoice, invoice))
        if notes != 1:
            self._fault(f"{invoice} has {notes} credit notes")

    def _renewal_day(self, day: date) -> None:
        """C-07, C-09: the day comes on which they renew, and they change plan or leave."""
        made = [
            populate(self._rt, self._plan, self._price, 1, day, card=card)[0]
            for card in (*[self._rng.choice(_DUE_CARDS) for _ in range(2)], _SILENT, _REFUSED)
        ]
        self._old.append(made)
        changer, leaver = self._customer(made[0]), self._customer(made[1])
        plan = f"/account/subscriptions/{changer[1]}/plan"
        tab = self._account(changer[0])
        shown = tab.get(f"{plan}?price={self._other}&when=boundary").field("quote_hash")
        gone = self._account(leaver[0])
        leave = f"/account/subscriptions/{leaver[1]}/cancel"
        gone.get(leave)
        wish = {"price": self._other, "quote_hash": shown, "quantity": "1", "when": "boundary"}
        self._press(
            "change or leave as the renewal comes",
            [partial(tab.again().post, plan, **wish)] * 2 + [partial(gone.again().post, leave)] * 2,
            at=datetime.combine(day, day_time(3), UTC),
        )
        self._quiet()

    def _retry(self) -> None:
        """C-08: another card in the moment in which the refused one is tried again."""
        case = self._rt.session.execute(
            sa.select(Invoice.payer_id, DunningCase.next_at)
            .join(Invoice, Invoice.id == DunningCase.invoice_id)
            .where(DunningCase.state == "open", DunningCase.next_at.is_not(None))
            .order_by(DunningCase.id.desc())
        ).first()
        self._rt.session.rollback()
        if case is None:
            return
        tab = self._account(case.payer_id)
        tab.get("/account/payment")
        away = tab.post("/account/payment/card").location
        self._bank.choose(away.rpartition("/")[2], "4242")
        setup = self._rt.session.scalars(
            sa.select(GatewaySetup.public_id).order_by(GatewaySetup.id.desc())
        ).first()
        self._rt.session.rollback()
        url = f"/account/payment/card/{setup}"
        tab.get(url)
        self._press(
            "another card as the retry comes",
            [partial(tab.again().post, url)] * 2,
            at=max(case.next_at, self._rt.now()) + timedelta(seconds=1),
        )
        self._quiet()

    def _tell_often(self) -> None:
        """W-01: twenty copies of a message about a charge without an answer, while it is asked."""
        row = self._rt.session.scalars(
            sa.select(ChargeAttempt.public_id).where(ChargeAttempt.state == "unknown")
        ).first()
        self._rt.session.rollback()
        if row is not None:
            raw = message(self._rt, f"evt_{row}", "charge", row)
            # Signed less than five minutes before it is heard, or it would be too old.
            clock_of(self._rt).move_to(self._rt.now() + timedelta(minutes=4))
            self._press(
                "one message, many times",
                [partial(self._hear, raw)] * COPIES,
                at=self._rt.now() + timedelta(minutes=1, seconds=1),
            )
            self._quiet()

    def _leave_old(self) -> None:
        """Let those of an earlier round go, so that each month has the same work."""
        if len(self._old) > 2:
            for key in self._old.pop(0):
                cancel(self._rt, *self._customer(key))

    # ------------------------------------------------------------------------------- the parts

    def _press(
        self, what: str, acts: list[partial[Page]], at: datetime | None = None
    ) -> list[Page]:
        """Do ``acts`` at once, and let time reach ``at`` in the same moment."""
        self._rt.session.remove()
        self._acts[what] += len(acts)
        if at is None:
            return at_once(self._rng, acts)
        both: list[Callable[[], Page | None]] = [*acts, partial(clock_of(self._rt).move_to, at)]
        return [page for page in at_once(self._rng, both) if page is not None]

    def _hear(self, raw: bytes) -> Page:
        """Send a message until it is taken, as gateways do."""
        page = Page(_LATER, "", "")
        for _ in range(20):
            signature = sign_webhook("demo", self._rt.now(), raw)
            headers = {**signature, "Content-Type": "application/json"}
            page = self._tab().send("/hooks/demo", raw, headers)
            if page.status == 200:
                break
            time.sleep(0.05)
        else:
            self._fault(f"a message was not taken: {page}")
        return page

    def _quiet(self) -> None:
        """Wait until the workers have nothing to do now."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            due = self._many(Subscription, Subscription.renews_at <= self._rt.now())
            planned = self._many(ChargeAttempt, ChargeAttempt.state.in_(("planned", "sent")))
            if not due and not planned:
                return
            if self._children.reap():
                raise RuntimeError("a process of the rig ended by itself")
            time.sleep(0.05)
        self._fault(f"the workers did not get done: {due} due, {planned} planned")

    def _move(self, day: date) -> None:
        moment = datetime.combine(day, day_time(9), UTC)
        if moment > self._rt.now():
            clock_of(self._rt).move_to(moment)
        self._quiet()

    def _tab(self) -> Tab:
        return Tab(self._ports, self._seen)

    def _account(self, customer: int) -> Tab:
        secret = start_session(self._rt, customer, "demo", "127.0.0.1", "rig")
        return signed_in(self._app, self._tab(), _user_id=secret, _fresh=True)

    def _desk(self) -> Tab:
        secret = start_staff_session(self._rt, self._staff, "127.0.0.1", "rig")
        return signed_in(self._app, self._tab(), staff=secret)

    def _customer(self, subscription: int) -> tuple[int, str]:
        row = self._rt.session.execute(
            sa.select(Subscription.customer_id, Subscription.public_id).where(
                Subscription.id == subscription
            )
        ).one()
        self._rt.session.rollback()
        return row.customer_id, row.public_id

    def _set_up_of(self, key: str) -> str:
        quote = self._rt.session.scalars(
            sa.select(Checkout.quote).where(Checkout.public_id == key)
        ).one()
        self._rt.session.rollback()
        return str(quote.get("setup", ""))

    def _key_of(self, model: type, public: str) -> int:
        table = table_of(model)
        return int(
            self._rt.session.scalars(sa.select(table.c.id).where(table.c.public_id == public)).one()
        )

    def _many(self, model: type, *where: sa.ColumnElement[bool]) -> int:
        statement = sa.select(sa.func.count()).select_from(table_of(model)).where(*where)
        found = int(self._rt.session.scalar(statement) or 0)
        self._rt.session.rollback()
        return found

    def _fault(self, what: str) -> None:
        self._outcome.faults.append(what)


def _month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=day.day)


def _fields(page: Page) -> dict[str, str]:
    """Return what a browser would send of the page's forms, all of the first line ticked."""
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    hidden.pop("csrf_token", None)
    line = re.search(r'name="(line-\d+)"', page.text)
    return hidden | ({line[1]: "1"} if line else {})


def run(rounds: int, database: str, seed: int) -> Outcome:
    """Run the rig once; the faults of the outcome are what it found."""
    outcome, children, began = Outcome(database, seed, rounds), Children(), time.monotonic()
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
                race = Race(app, ask_witness(address), ports, outcome, children)
                race.run()
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
    outcome.faults += found.faults + compare_money(rt, charges) + compare_orders(rt, charges)
    logged = errors.read_text(encoding="utf-8") if errors.exists() else ""
    if logged:
        outcome.faults.append(f"errors were logged:\n{logged[:4000]}")


def table(outcome: Outcome) -> str:
    """Return the outcome as lines to read."""
    who = f"{outcome.database}, {outcome.rounds} rounds, seed {outcome.seed}"
    lines = [f"{who}: {outcome.seconds} s"]
    lines += [f"  {many:5}  {name}" for name, many in outcome.acts.items()]
    lines += [f"  {many:5}  answers {name}" for name, many in outcome.statuses.items()]
    names = ("charges", "doubles", "refunded", "changed", "left", "recovered")
    lines += [f"  {getattr(outcome, name):5}  {name}" for name in names]
    lines += [f"  FAULT  {fault}" for fault in outcome.faults] or ["      0  faults"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py rig race", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, help="default: drawn, and printed")
    parser.add_argument("--report", type=Path, help="write the outcome there as JSON, too")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    outcome = run(options.rounds, options.database, seed)
    print(table(outcome), flush=True)
    if options.report:
        options.report.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    return int(bool(outcome.faults))


if __name__ == "__main__":
    sys.exit(main())
