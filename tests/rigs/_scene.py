"""What a race plays on: the shop, its web processes and workers, and what came of each line."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from datetime import time as day_time
from functools import partial
from typing import Any

import sqlalchemy as sa
from flask import Flask

from storefront.models import ChargeAttempt, Plan, Price, Subscription
from storefront.models.base import Base, table_of
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.sessions import start_session, start_staff_session
from storefront.testing import factories
from storefront_demo_gateway.gateway import sign_webhook
from storefront_demo_gateway.remote import RemoteBank
from tests.rigs._children import Children
from tests.rigs._shop import clock_of
from tests.rigs._tabs import Page, Tab, at_once, signed_in
from tests.support.admin import make_staff

#: Statuses of an answer that a browser or a gateway may get under load, besides pages.
LATER = 503
#: Seconds the workers have to get done with what is due.
_PATIENCE = 60


@dataclass
class Line:
    """What became of one fault of the table: how it ended how often, and what was wrong."""

    played: int = 0
    acts: int = 0
    wrong: int = 0
    ends: dict[str, int] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a run did, for the table and for the test."""

    database: str
    seed: int
    rounds: int
    #: The one line that is played; empty: all of them.
    only: str = ""
    lines: dict[str, Line] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    charges: int = 0
    doubles: int = 0
    lost: int = 0
    refunded: int = 0
    #: Plans changed, subscriptions that end, charges that another card paid.
    changed: int = 0
    left: int = 0
    recovered: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class Scene:
    """One shop with everything that the lines of a race need of it."""

    def __init__(
        self, app: Flask, bank: RemoteBank, ports: list[int], outcome: Outcome, children: Children
    ) -> None:
        self.app, self.bank, self.outcome = app, bank, outcome
        self.rt: Runtime = app.extensions["storefront"]
        self.rng = random.Random(outcome.seed)
        self.seen: list[tuple[str, int]] = []
        self._ports, self._children = ports, children
        self.staff: Who = make_staff(self.rt)
        self.plan = self.rt.session.scalars(sa.select(Plan)).one()
        self.rt.session.expunge_all()
        self.rt.session.rollback()
        self.price = factories.price_of(self.rt, self.plan)
        self.other: Price = factories.make_price(
            self.rt, self.plan, amount_minor=7200, unit="month", count=3
        )
        #: Plenty of it goes into every box, so that whole cycles lock.
        tea = factories.make_variant(self.rt, on_hand=10**6)
        factories.make_recipe(self.rt, self.plan, variants=[tea])
        # The second group can be changed until the second in which its boxes are locked.
        group = factories.make_group(self.rt, charge_day=14, cutoff_days=0, lock_days=0)
        self.late = factories.make_plan(self.rt, group=group, amount_minor=3100)
        self.wanted = factories.make_plan(self.rt, group=group, amount_minor=1900)
        self.tin = factories.make_variant(self.rt, on_hand=0)
        factories.make_recipe(self.rt, self.late, variants=[tea])
        factories.make_recipe(self.rt, self.wanted, variants=[self.tin])

    # ------------------------------------------------------------------------- what is counted

    def line(self, name: str) -> Line:
        return self.outcome.lines.setdefault(name, Line())

    def ended(self, name: str, how: str) -> None:
        """Count that a play of the line ended so."""
        line = self.line(name)
        line.played += 1
        line.ends[how] = line.ends.get(how, 0) + 1

    def fault(self, name: str, what: str) -> None:
        self.line(name).wrong += 1
        self.outcome.faults.append(f"{name}: {what}")

    def press(
        self, name: str, acts: Sequence[Callable[[], Page]], at: datetime | None = None
    ) -> list[Page]:
        """Do ``acts`` at once, and let time reach ``at`` in the same moment."""
        self.rt.session.remove()
        self.line(name).acts += len(acts)
        both: list[Callable[[], Page | None]] = list(acts)
        if at is not None:
            both.append(partial(clock_of(self.rt).move_to, at))
        pages = [page for page in at_once(self.rng, both) if page is not None]
        for page in pages:
            if page.status >= 500 and page.status != LATER:
                self.fault(name, f"an answer of {page.status}: {page.text[:200]}")
        return pages

    # ------------------------------------------------------------------------------- who acts

    def tab(self, *, is_htmx: bool = False) -> Tab:
        return Tab(self._ports, self.seen, is_htmx=is_htmx)

    def account(self, customer: int, *, is_htmx: bool = False) -> Tab:
        secret = start_session(self.rt, customer, "demo", "127.0.0.1", "rig")
        return signed_in(self.app, self.tab(is_htmx=is_htmx), _user_id=secret, _fresh=True)

    def desk(self) -> Tab:
        secret = start_staff_session(self.rt, self.staff.id, "127.0.0.1", "rig")
        return signed_in(self.app, self.tab(), staff=secret)

    def hear(self, raw: bytes) -> Page:
        """Send a message until it is taken, as gateways do."""
        page = Page(LATER, "", "")
        for _ in range(20):
            signature = sign_webhook("demo", self.rt.now(), raw)
            headers = {**signature, "Content-Type": "application/json"}
            page = self.tab().send("/hooks/demo", raw, headers)
            if page.status == 200:
                break
            time.sleep(0.05)
        else:
            self.fault("W-01", f"a message was not taken: {page}")
        return page

    # --------------------------------------------------------------------------------- time

    def quiet(self) -> None:
        """Wait until the workers have nothing to do now."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            due = self.many(Subscription, Subscription.renews_at <= self.rt.now())
            planned = self.many(ChargeAttempt, ChargeAttempt.state.in_(("planned", "sent")))
            if not due and not planned:
                return
            if self._children.reap():
                raise RuntimeError("a process of the rig ended by itself")
            time.sleep(0.05)
        self.outcome.faults.append(f"the workers did not get done: {due} due, {planned} planned")

    def move(self, moment: datetime) -> None:
        """Let time reach ``moment``, and the workers do what is due then."""
        if moment > self.rt.now():
            clock_of(self.rt).move_to(moment)
        self.quiet()

    # ------------------------------------------------------------------------- looking inside

    def customer(self, subscription: int) -> tuple[int, str]:
        row = self.rt.session.execute(
            sa.select(Subscription.customer_id, Subscription.public_id).where(
                Subscription.id == subscription
            )
        ).one()
        self.rt.session.rollback()
        return row.customer_id, row.public_id

    def key_of(self, model: type[Base], public: str) -> int:
        table = table_of(model)
        return int(self.one(sa.select(table.c.id).where(table.c.public_id == public)))

    def one(self, statement: sa.Select[Any]) -> Any:
        """Return the first value there is, read by itself."""
        found = self.rt.session.scalars(statement).first()
        self.rt.session.rollback()
        return found

    def many(self, model: type[Base], *where: sa.ColumnElement[bool]) -> int:
        statement = sa.select(sa.func.count()).select_from(table_of(model)).where(*where)
        found = int(self.rt.session.scalar(statement) or 0)
        self.rt.session.rollback()
        return found


def fields(page: Page) -> dict[str, str]:
    """Return what a browser would send of the page's forms, all of the first line ticked."""
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    hidden.pop("csrf_token", None)
    line = re.search(r'name="(line-\d+)"', page.text)
    return hidden | ({line[1]: "1"} if line else {})


def nine(day: date) -> datetime:
    return datetime.combine(day, day_time(9), UTC)
