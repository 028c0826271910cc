"""M6 and M7 with two connections at once: one waits for the other, and then sees what it did.

Two who have read what they decide by wait for each other before they write, so that the order is
the bad one every time and not by luck. Where a lock lets only one read, that one goes on alone
after a while. On SQLite the second waits for the one writer; on PostgreSQL for the row.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront import paying
from storefront.domain.errors import DomainError
from storefront.domain.invoices import CreditReason
from storefront.domain.money import Money
from storefront.domain.refunds import Afterwards, Way
from storefront.domain.shipping import Area, Band, Tariff, Zone
from storefront.models import ChargeAttempt, Invoice, PaymentMethod, Refund
from storefront.models.base import Base, table_of
from storefront.operations import credits as crediting
from storefront.operations.keys import AnyRow
from storefront.operations.shipping import read_zones
from storefront.paying import NotFound, NotNow, pay_now
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import refunding, shipping
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.orders import in_parallel
from tests.support.statements import counting

DUE = date(2027, 3, 12)
#: Seconds in which a second connection would be done if nothing held it up.
UNHINDERED = 0.4


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def meeting(monkeypatch: pytest.MonkeyPatch, *reads: tuple[object, str]) -> None:
    """Have two callers of ``reads`` go on together; one that comes alone goes on after a while.

    Where nothing locks, both have read before either writes.
    """
    barrier = threading.Barrier(2)
    for module, name in reads:
        real = getattr(module, name)

        def read(*args, real=real, **kwargs):
            found = real(*args, **kwargs)
            with suppress(threading.BrokenBarrierError):
                barrier.wait(UNHINDERED)
            return found

        monkeypatch.setattr(module, name, read)


def rows(rt: Runtime, model: type[Base]) -> list[AnyRow]:
    rt.session.rollback()
    table = table_of(model)
    found = list(rt.session.execute(sa.select(table).order_by(table.c.id)).all())
    rt.session.rollback()
    return found


def test_m6_an_invoice_is_credited_or_paid_and_never_charged_for_what_it_no_longer_owes(
    app: Flask, rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, monkeypatch
) -> None:
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 1, DUE, card="9995")
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)
    [invoice] = rows(rt, Invoice)
    good = demo_gateway.bank.token_for("4242")
    rt.session.execute(sa.update(table_of(PaymentMethod)).values(token=good))
    rt.session.commit()
    meeting(monkeypatch, (paying, "_owed"), (crediting, "_open_invoices"))

    def act(own: Runtime, number: int) -> str:
        if number:
            try:
                return pay_now(own, invoice.payer_id, invoice.public_id).value
            except (NotFound, NotNow):
                return "not now"
        done = crediting.credit_invoices(
            own.session, [invoice.id], CreditReason.CANCELLATION, own.moment()
        )
        own.session.commit()
        return "credited" if done.done else "waiting"

    said = in_parallel(app, 2, act)

    [after] = rows(rt, Invoice)
    taken = demo_gateway.bank.executed_total("EUR")
    won = {"credited": ("void", 0), "waiting": ("paid", invoice.due_minor)}
    assert (after.state, taken) == won[said[0]], said
    tries = [row for row in rows(rt, ChargeAttempt) if row.sent_at is not None]
    assert {row.amount_minor for row in tries} == {invoice.due_minor}


def test_m7_of_two_refunds_at_once_of_more_than_half_one_is_made(
    app: Flask, rt: Runtime, monkeypatch
) -> None:
    make.make_subscription(rt)
    who = make_staff(rt)
    [invoice] = rows(rt, Invoice)
    line = offer(rt, invoice.public_id).lines[0]
    more_than_half = line.left * 6 // 10
    wish = Wish({line.head.id: more_than_half}, Way.CARD, CreditReason.REFUND, Afterwards.KEEP)
    shown = quote_refund(rt, invoice.public_id, wish).quote_hash
    meeting(monkeypatch, (refunding, "read_refund"))

    def act(own: Runtime, number: int) -> str:
        try:
            return refund(own, who, invoice.public_id, wish, shown)
        except DomainError as error:
            return error.code

    said = in_parallel(app, 2, act)

    assert len([one for one in said if one.startswith("crn_")]) == 1, said
    [planned] = rows(rt, Refund)
    [charged] = rows(rt, ChargeAttempt)
    assert (planned.amount_minor, charged.refunded_minor) == (more_than_half, more_than_half)


def test_two_who_save_a_zone_at_once_leave_the_places_and_prices_of_one_of_them(
    app: Flask, rt: Runtime, monkeypatch
) -> None:
    who = make_staff(rt)
    zone = make.make_zone(rt, "DE", 490)
    drafts = [
        shipping.ZoneDraft((Area(country),), Tariff((Band(0, Money(minor, "EUR")),)), name)
        for country, minor, name in (("AT", 700, "Alps"), ("FR", 900, "West"))
    ]
    ref = str(zone.public_id)
    rt.session.expunge_all()
    rt.session.rollback()
    meeting(monkeypatch, (shipping, "_zone"))

    in_parallel(app, 2, lambda own, number: shipping.save_zone(own, who, drafts[number], ref))

    found: list[Zone] = list(read_zones(rt.session))
    rt.session.rollback()
    saved = [(one.name, one.areas, one.tariffs) for one in found]
    wanted = [(one.name, one.areas, (one.tariff,)) for one in drafts]
    assert len(saved) == 1
    assert saved[0] in wanted


def test_places_and_prices_of_zones_are_read_by_one_statement(rt: Runtime) -> None:
    make.make_zone(rt, "DE, AT", 490)
    make.make_zone(rt, "*", None)
    rt.session.expunge_all()
    with counting() as said:
        found = read_zones(rt.session)
    rt.session.rollback()
    assert [(len(one.areas), len(one.tariffs)) for one in found] == [(2, 1), (1, 0)]
    assert len([one for one in said if one.startswith("SELECT")]) == 1
