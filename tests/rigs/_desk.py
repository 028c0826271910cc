"""What staff of the simulation do with the money of its customers, as ``_people`` does."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.lifecycle import ENDED
from storefront.domain.money import Money
from storefront.domain.refunds import Afterwards
from storefront.models import Customer, Invoice, ShopSettings, Staff, Subscription
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services import ad_hoc, bank, invoice_desk
from storefront.services.ad_hoc import Extra
from storefront.services.invoice_desk import Then
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.staff import add_staff
from tests.rigs._people import Action, Person, World


def give_back(world: World, person: Person) -> str | None:
    """Refund some of an invoice, any way, with anything becoming of the subscription."""
    rt, rng = world.rt, world.rng
    ref = _invoice(world, person, InvoiceState.PAID)
    if ref is None:
        return None
    offered = offer(rt, ref)
    lines = [line for line in offered.lines if line.left]
    if not lines or not offered.ways:
        return None
    line = rng.choice(lines)
    minor = line.left if rng.random() < 0.4 else rng.randint(1, line.left)
    way = rng.choice(sorted(offered.ways))
    # Most refunds are small favours.
    after = rng.choice(offered.afterwards) if rng.random() < 0.3 else Afterwards.KEEP
    wish = Wish({line.head.id: minor}, way, CreditReason.REFUND, after)
    refund(rt, staff_user(rt), ref, wish, quote_refund(rt, ref, wish).quote_hash)
    return f"refunded to {way.value}, {after.value}"


def charge_extra(world: World, person: Person) -> str | None:
    """Charge something extra, at times too little for the gateway."""
    rt, rng = world.rt, world.rng
    sub = rt.session.execute(
        sa.select(Subscription.public_id, Customer.public_id.label("customer"))
        .join(Customer, Customer.id == Subscription.customer_id)
        .where(Customer.id == person.customer_id, Subscription.state.not_in(ENDED))
        .order_by(Subscription.id)
    ).first()
    rt.session.rollback()
    if sub is None:
        return None
    wish = Extra("A teapot", Money(rng.choice((30, 45, 990, 2500)), "EUR"), "standard")
    quoted = ad_hoc.quote_extra(rt, sub.customer, sub.public_id, wish)
    once = f"sim-{rng.getrandbits(64):x}"
    args = (rt, staff_user(rt), sub.customer, sub.public_id, wish, quoted.quote_hash, once)
    done = ad_hoc.charge_extra(*args)
    if rng.random() < 0.2:
        ad_hoc.charge_extra(*args)
    return f"extra {done.outcome.value}"


def change_way_to_pay(world: World, person: Person) -> str | None:
    """Pay by transfer from now on, or by card again."""
    rt, rng = world.rt, world.rng
    ref = rt.session.scalar(sa.select(Customer.public_id).where(Customer.id == person.customer_id))
    rt.session.rollback()
    if ref is None:
        return None
    if not rt.shop.bank_details:
        rt.session.execute(sa.update(ShopSettings).values(bank_details="IBAN DE02 1203 0000"))
        rt.session.commit()
        rt.forget_shop()
    way = rng.choice(("bank", "bank", "gateway"))
    bank.set_pays_by(rt, staff_user(rt), ref, way, rng.choice((None, 0, 10)))
    return f"pays by {way}"


def note_transfer(world: World, person: Person) -> str | None:
    """Note what came by bank, mostly the right amount."""
    rt = world.rt
    found = rt.session.execute(
        sa.select(Invoice.public_id, Invoice.due_minor, Invoice.currency)
        .where(Invoice.payer_id == person.customer_id, Invoice.state == InvoiceState.OPEN)
        .order_by(Invoice.id)
    ).first()
    rt.session.rollback()
    if found is None:
        return None
    minor = found.due_minor + (world.rng.random() < 0.1)
    invoice_desk.mark_paid(rt, staff_user(rt), found.public_id, Money(minor, found.currency))
    return "transferred"


def drop_invoice(world: World, person: Person) -> str | None:
    """Void an open invoice or write it off."""
    ref = _invoice(world, person, InvoiceState.OPEN)
    if ref is None:
        return None
    act = world.rng.choice((invoice_desk.void, invoice_desk.give_up))
    then = world.rng.choice(tuple(Then))
    act(world.rt, staff_user(world.rt), ref, then)
    return f"{act.__name__}, {then.value}"


def _invoice(world: World, person: Person, state: InvoiceState) -> str | None:
    rows = world.rt.session.scalars(
        sa.select(Invoice.public_id)
        .where(Invoice.payer_id == person.customer_id, Invoice.state == state)
        .order_by(Invoice.id)
    ).all()
    world.rt.session.rollback()
    return world.rng.choice(rows) if rows else None


def staff_user(rt: Runtime) -> Who:
    row = rt.session.execute(sa.select(Staff.id, Staff.public_id)).first()
    rt.session.rollback()
    if row is None:
        add_staff(rt, email="mia@shop.example", name="Mia", password="a long password")
        return staff_user(rt)
    return Who(row.id, row.public_id, "192.0.2.1")


#: Every action of staff with how often it is drawn beside the customers' own.
DESK: tuple[tuple[Action, int], ...] = (
    (give_back, 8),
    (charge_extra, 4),
    (change_way_to_pay, 3),
    (note_transfer, 8),
    (drop_invoice, 2),
)
