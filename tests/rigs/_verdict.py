"""What must be true after a rig has disturbed the engine, the bank being the witness."""

from dataclasses import dataclass, field

import sqlalchemy as sa

from storefront.models import (
    Box,
    ChargeAttempt,
    Invoice,
    ParkedWork,
    Refund,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront_demo_gateway.records import BankCharge
from storefront_demo_gateway.remote import RemoteBank

_OPEN = ("planned", "sent", "action_required", "pending", "unknown")


@dataclass
class Verdict:
    """What was counted, and every fault in words; none means the engine held."""

    charges: int = 0
    #: Invoices or references for which money moved more than once.
    doubles: int = 0
    refunded: int = 0
    boxes: int = 0
    renewals: int = 0
    skipped: int = 0
    faults: list[str] = field(default_factory=list)


def judge(rt: Runtime, witness: RemoteBank) -> Verdict:
    """Compare the shop with the bank, and the shop with itself; nothing may be under way."""
    charges = list(witness.charges_since(""))
    found = judge_books(rt, witness, charges)
    _compare_charges(found, rt, charges)
    _compare_boxes(found, rt)
    rt.session.rollback()
    return found


def judge_books(
    rt: Runtime,
    witness: RemoteBank,
    charges: list[BankCharge],
    *,
    held: int = 0,
    alike: bool = True,
) -> Verdict:
    """Look for doubles at the bank, and here for what is stuck or broken.

    ``held`` is how many subscriptions are to be held, ``alike`` whether all renew on one day.
    """
    found = Verdict()
    _ask_the_bank(found, witness, charges)
    _look_for_stuck(found, rt, held, alike=alike)
    found.faults += [f"{name}: {rows}" for name, rows in broken(rt.session).items()]
    rt.session.rollback()
    return found


def _ask_the_bank(found: Verdict, witness: RemoteBank, charges: list[BankCharge]) -> None:
    found.charges = len(charges)
    found.refunded = sum(1 for charge in charges if charge.refunded_minor)
    if witness.executed_count() != len(charges):
        found.faults.append("money moved more often than charges succeeded")
    twice = witness.double_charges()
    found.doubles = len(twice)
    found.faults += [f"charged twice: {what}" for what, _ in twice]
    found.faults += [f"charged before it was on disk: {what}" for what in witness.violations()]


def _compare_charges(found: Verdict, rt: Runtime, charges: list[BankCharge]) -> None:
    """A charge that the bank executed settles its invoice here or was given back whole."""
    known = {row.public_id: row for row in _attempts(rt)}
    executed = {charge.reference: charge for charge in charges}
    for charge in charges:
        found.faults += _lost(charge, known.get(charge.reference))
    for reference, row in known.items():
        if row.state == "succeeded" and reference not in executed:
            found.faults.append(f"{reference} is paid here and unknown to the bank")


def _lost(charge: BankCharge, row: AnyRow | None) -> list[str]:
    if row is None or row.state != "succeeded":
        return [f"lost: the bank executed {charge.reference}, here it is {row and row.state}"]
    if row.amount_minor != charge.amount_minor:
        return [f"{charge.reference}: the bank took another amount"]
    kept = 0 if row.settles else charge.amount_minor
    wrong = charge.refunded_minor != kept or row.refunded_minor != kept
    if wrong or (row.settles and row.invoice_state != "paid"):
        return [f"{charge.reference}: settles {row.settles}, given back {charge.refunded_minor}"]
    return []


def _attempts(rt: Runtime) -> list[AnyRow]:
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    return list(
        rt.session.execute(
            sa.select(
                attempt.c.public_id,
                attempt.c.state,
                attempt.c.amount_minor,
                attempt.c.settles,
                attempt.c.refunded_minor,
                invoice.c.state.label("invoice_state"),
            ).join(invoice, invoice.c.id == attempt.c.invoice_id)
        )
    )


def _compare_boxes(found: Verdict, rt: Runtime) -> None:
    """Each charge that was kept is one paid period of one box, and nothing else is a box."""
    box, period = table_of(Box), table_of(SubscriptionPeriod)
    found.boxes = count(rt, box)
    found.renewals = count(rt, period, period.c.number > 0, period.c.kind == "billed")
    found.skipped = count(rt, period, period.c.kind == "skipped")
    kept = found.charges - found.refunded
    paid = count(
        rt, period, period.c.number > 0, period.c.kind == "billed", period.c.state == "paid"
    )
    if not kept == paid == found.boxes:
        found.faults.append(f"{kept} charges kept, {paid} periods paid, {found.boxes} boxes")


def _look_for_stuck(found: Verdict, rt: Runtime, held: int, *, alike: bool) -> None:
    """Nothing waits that nobody will come back to, and nobody was left behind."""
    attempt, refund = table_of(ChargeAttempt), table_of(Refund)
    subscription, parked = table_of(Subscription), table_of(ParkedWork)
    running = subscription.c.state == "active"
    stuck = {
        "attempts open": count(rt, attempt, attempt.c.state.in_(_OPEN)),
        "refunds not done": count(rt, refund, refund.c.state != "succeeded"),
        "subscriptions due": count(rt, subscription, subscription.c.renews_at <= rt.now()),
        "running without a date": count(
            rt, subscription, running, subscription.c.renews_at.is_(None)
        ),
        f"held, not {held}": abs(
            held - count(rt, subscription, subscription.c.held_at.is_not(None))
        ),
        "parked": count(rt, parked),
        "running and unlike the others": max(0, _different_ends(rt) - 1) if alike else 0,
    }
    found.faults += [f"{many} {what}" for what, many in stuck.items() if many]


def _different_ends(rt: Runtime) -> int:
    table = table_of(Subscription)
    ends = sa.select(sa.func.count(table.c.next_on.distinct())).where(
        table.c.state == "active", table.c.cancel_on.is_(None)
    )
    return int(rt.session.execute(ends).scalar_one())


def count(rt: Runtime, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    statement = sa.select(sa.func.count()).select_from(table).where(*where)
    return int(rt.session.execute(statement).scalar_one())
