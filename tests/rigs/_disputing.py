"""Customers of the simulation who dispute payments, their bank, and messages that say so."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storefront.demo.shopping import bank_of
from storefront.domain.charging import AttemptState
from storefront.domain.gateways import DisputeState
from storefront.models import ChargeAttempt, Dispute, Invoice
from storefront.runtime import Runtime
from storefront.services import disputes, webhooks
from storefront_demo_gateway.records import AnswerLost
from tests.rigs._desk import staff_user
from tests.rigs._people import Action, Person, World
from tests.support.hooks import body, signed


def dispute_payment(world: World, person: Person) -> str | None:
    """Dispute some payment; the bank tells, mostly."""
    rows = _payments(world.rt, person)
    if not rows:
        return None
    payment = world.rng.choice(rows).public_id
    try:
        if _bank(world).disputes_of(payment):
            # The shop was not told of it yet.
            return _tell(world, payment)
    except AnswerLost:
        return None
    _bank(world).dispute(payment)
    return f"disputed, {_tell(world, payment)}"


def decide_dispute(world: World, _person: Person) -> str | None:
    """Have the bank decide about a payment of somebody."""
    rows = world.rt.session.execute(
        sa.select(ChargeAttempt.public_id, Dispute.gateway_reference)
        .join(Dispute, Dispute.attempt_id == ChargeAttempt.id)
        .where(Dispute.state == DisputeState.OPEN)
        .order_by(Dispute.id)
    ).all()
    world.rt.session.rollback()
    if not rows:
        return None
    payment, reference = world.rng.choice(rows)
    is_won = world.rng.random() < 0.5
    _bank(world).decide_dispute(reference, is_won)
    return f"{'won' if is_won else 'lost'}, {_tell(world, payment)}"


def go_on(world: World, _person: Person) -> str | None:
    """Let go on what a dispute holds, or end it."""
    rt = world.rt
    found = rt.session.execute(
        sa.select(Dispute.public_id, Dispute.state, Invoice.payer_id)
        .join(ChargeAttempt, ChargeAttempt.id == Dispute.attempt_id)
        .join(Invoice, Invoice.id == ChargeAttempt.invoice_id)
        .where(Dispute.resumed_at.is_(None))
        .order_by(Dispute.id)
    ).first()
    rt.session.rollback()
    if found is None:
        return None
    if found.state is DisputeState.WON and world.rng.random() < 0.7:
        disputes.resume_by_customer(rt, found.payer_id, "cus", found.public_id)
        return "customer goes on"
    act = world.rng.choice((disputes.resume, disputes.end))
    act(rt, staff_user(rt), found.public_id)
    return f"staff {act.__name__}"


def hear_again(world: World, person: Person) -> str | None:
    """Deliver an old message about some charge once more."""
    rows = world.rt.session.scalars(
        sa.select(ChargeAttempt.public_id)
        .join(Invoice, Invoice.id == ChargeAttempt.invoice_id)
        .where(Invoice.payer_id == person.customer_id, ChargeAttempt.gateway == "demo")
        .order_by(ChargeAttempt.id)
    ).all()
    world.rt.session.rollback()
    if not rows:
        return None
    return _tell(world, world.rng.choice(rows), about="charge")


def _payments(rt: Runtime, person: Person) -> list[Any]:
    """Return payments of theirs of which money is left and that nobody disputes yet."""
    known = sa.exists().where(Dispute.attempt_id == ChargeAttempt.id)
    rows = rt.session.execute(
        sa.select(ChargeAttempt.public_id)
        .join(Invoice, Invoice.id == ChargeAttempt.invoice_id)
        .where(
            Invoice.payer_id == person.customer_id,
            ChargeAttempt.state == AttemptState.SUCCEEDED,
            ChargeAttempt.gateway == "demo",
            ChargeAttempt.amount_minor > ChargeAttempt.refunded_minor,
            sa.not_(known),
        )
        .order_by(ChargeAttempt.id)
    ).all()
    rt.session.rollback()
    return list(rows)


def _tell(world: World, payment: str, about: str = "dispute") -> str:
    if world.rng.random() < 0.05:
        return "nobody told"
    rt = world.rt
    raw = body(rt, id=f"sim-{world.rng.getrandbits(64):x}", about=about, reference=payment)
    for _time in range(2 if world.rng.random() < 0.2 else 1):
        came = webhooks.receive(rt, "demo", signed(rt, raw), raw, claims=world.rng.random() < 0.8)
        if came.event is not None:
            webhooks.apply_claimed(rt, came.event)
    return "told"


def _bank(world: World) -> Any:
    return bank_of(world.rt)


#: With their weights.
DISPUTING: tuple[tuple[Action, int], ...] = (
    (dispute_payment, 2),
    (decide_dispute, 2),
    (go_on, 3),
    (hear_again, 4),
)
