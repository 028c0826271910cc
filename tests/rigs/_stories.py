"""What the kill rig has workers do besides renewing: refunds, messages of the bank, orders.

Each story prepares one case, does it where it may die, and then lets the others do what they do
in life: the bank sends its message again, the shopper comes back or never does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Protocol

import sqlalchemy as sa
from flask import Flask

from storefront.adapters import failpoints
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Way
from storefront.jobs.work import EXPIRE, GATEWAY_EVENTS, LOOK_UPS, REFUNDS, RENEWALS, run_job
from storefront.models import ChargeAttempt, Checkout, Invoice, Plan
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.cycles import plan_ahead
from storefront.services.finishing import finish_checkout
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront_demo_gateway.gateway import sign_webhook
from storefront_demo_gateway.remote import RemoteBank
from tests.rigs._shop import open_shop
from tests.support.admin import make_staff
from tests.support.orders import begin, choose, order

#: Points at which an answer is written down, whoever asked.
_RECORDING = ("renewal.before_record_commit", "renewal.after_record")


@dataclass
class Stage:
    """What a story plays on; ``bank`` is asked past the shop."""

    app: Flask
    rt: Runtime
    bank: RemoteBank
    random: Random


class Story(Protocol):
    """``cases`` is how many there will be at most."""

    points: tuple[str, ...]

    def open(self, stage: Stage, cases: int) -> None:
        """Make the shop."""

    def prepare(self, stage: Stage, number: int, point: str) -> Any:
        """Return what the next case is about."""

    def act(self, stage: Stage, case: Any) -> None:
        """Do it, in a process that dies at the point."""

    def go_on(self, stage: Stage, case: Any, number: int) -> None:
        """Do what the others do after the death."""


def _points(*beginnings: str) -> tuple[str, ...]:
    return tuple(name for name in failpoints.KNOWN if name.startswith(beginnings))


@dataclass
class Refunds:
    """Staff give part of a charge back; who sends it dies, at times after a lost answer."""

    points: tuple[str, ...] = _points("refund.")
    _invoices: list[str] = field(default_factory=list)
    _who: Who | None = None

    def open(self, stage: Stage, cases: int) -> None:
        open_shop(stage.rt, {"4242": cases})
        _renew_all(stage.rt)
        rows = stage.rt.session.scalars(sa.select(Invoice.public_id).order_by(Invoice.id))
        self._invoices = list(rows)
        stage.rt.session.rollback()
        self._who = make_staff(stage.rt)

    def prepare(self, stage: Stage, number: int, point: str) -> str:
        rt, invoice = stage.rt, self._invoices.pop()
        line = offer(rt, invoice).lines[0]
        minor = stage.random.choice((line.left, stage.random.randint(1, line.left)))
        wish = Wish({line.head.id: minor}, Way.CARD, CreditReason.REFUND)
        assert self._who is not None
        refund(rt, self._who, invoice, wish, quote_refund(rt, invoice, wish).quote_hash)
        return "lost" if number % 3 == 2 else ""

    def act(self, stage: Stage, case: str) -> None:
        if case:
            stage.bank.set_fault(case, True)
        run_job(stage.rt, REFUNDS)

    def go_on(self, stage: Stage, case: str, number: int) -> None:
        if case:
            stage.bank.set_fault(case, False)
        # The next one looks at once; what was sent is not due yet, and must not go out again.
        run_job(stage.rt, REFUNDS)


@dataclass
class Webhooks:
    """The bank tells what became of a charge, or of a dispute; who hears it dies."""

    points: tuple[str, ...] = (*_points("webhook.", "dispute."), *_RECORDING)
    _charges: list[str] = field(default_factory=list)

    def open(self, stage: Stage, cases: int) -> None:
        # Every charge of this card is executed and its answer lost.
        open_shop(stage.rt, {"0408": cases})
        _renew_all(stage.rt)
        rows = stage.rt.session.scalars(sa.select(ChargeAttempt.public_id))
        self._charges = list(rows)
        stage.rt.session.rollback()

    def prepare(self, stage: Stage, number: int, point: str) -> bytes:
        payment = self._charges.pop()
        about = "dispute" if point.startswith("dispute.") or number % 3 == 2 else "charge"
        if about == "dispute":
            stage.bank.dispute(payment)
        return message(stage.rt, f"evt_{number}", about, payment)

    def act(self, stage: Stage, case: bytes) -> None:
        post(stage, case)

    def go_on(self, stage: Stage, case: bytes, number: int) -> None:
        """Send it again, for nobody answered; before or after a worker came by."""
        if number % 2:
            run_job(stage.rt, GATEWAY_EVENTS)
        answers = [post(stage, case) for _ in range(2)]
        if answers != [200, 200]:
            raise AssertionError(f"the shop answered a message with {answers}")


@dataclass
class Checkouts:
    """A shopper comes back from the bank's page; the process that serves them dies."""

    points: tuple[str, ...] = (*_points("checkout."), "renewal.after_answer", *_RECORDING)
    #: The card that is executed and never answered cannot die after its answer was written.
    _CARDS = ("4242", "4242", "0408")

    def open(self, stage: Stage, cases: int) -> None:
        open_shop(stage.rt, {})
        plan_ahead(stage.rt)

    def prepare(self, stage: Stage, number: int, point: str) -> str:
        rt = stage.rt
        plan = rt.session.scalars(sa.select(Plan)).one()
        key = begin(rt, plan, email=f"shopper{number}@example.org")
        choose(rt.gateways["demo"], order(rt, key), stage.random.choice(self._CARDS))  # type: ignore[arg-type]
        return key

    def act(self, stage: Stage, case: str) -> None:
        finish_checkout(stage.rt, case, _no_pause)

    def go_on(self, stage: Stage, case: str, number: int) -> None:
        """Reload the page, or leave it to the bank's message, or to nobody."""
        if number % 3 == 0:
            finish_checkout(stage.rt, case, _no_pause)
        elif number % 3 == 1:
            post(stage, message(stage.rt, f"evt_{number}", "setup", self._set_up(stage.rt, case)))

    def _set_up(self, rt: Runtime, key: str) -> str:
        quote = rt.session.scalars(
            sa.select(table_of(Checkout).c.quote).where(Checkout.public_id == key)
        ).one()
        rt.session.rollback()
        return str(quote["setup"])


#: Every story by its name, and the jobs that bring it to its end.
STORIES: dict[str, Callable[[], Story]] = {
    "refunds": Refunds,
    "webhooks": Webhooks,
    "checkout": Checkouts,
}
ENDING = (GATEWAY_EVENTS, LOOK_UPS, RENEWALS, REFUNDS, EXPIRE)


def message(rt: Runtime, name: str, about: str, reference: str) -> bytes:
    """Return a message of the demo bank called ``name``."""
    values = {"id": name, "type": f"{about}.changed", "about": about, "account": "demo"}
    said = {"reference": reference, "occurred_at": rt.now().isoformat()}
    return json.dumps(values | said).encode()


def post(stage: Stage, raw: bytes) -> int:
    """Send ``raw`` as the bank does, signed now; returns the status."""
    headers = {**sign_webhook("demo", stage.rt.now(), raw), "Content-Type": "application/json"}
    return stage.app.test_client().post("/hooks/demo", data=raw, headers=headers).status_code


def _renew_all(rt: Runtime) -> None:
    plan_ahead(rt)
    if not run_job(rt, RENEWALS):
        raise RuntimeError("the renewals did not go well")


def _no_pause(_seconds: float) -> None:
    """Wait for nobody: whoever else was charging is dead."""


#: How far the clock goes when nothing says when the next thing is due.
STEP = timedelta(minutes=10)
