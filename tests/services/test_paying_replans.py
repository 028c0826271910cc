"""Who pays one invoice with another method has no other invoice asked with the old one."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront.charges import send_planned
from storefront.domain.charging import AttemptState
from storefront.models import ChargeAttempt, Customer, GatewaySetup, Invoice, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.paying import Paid, pay_now
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import pay_links
from storefront.services.dunning import chase_due
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway

DUE = date(2027, 3, 12)
#: Renewals of this card wait for its owner's bank.
WAITS = "3220"
Pay = Callable[[Runtime, DemoGateway, str], int]


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def rows(rt: Runtime, model: type) -> list[AnyRow]:
    table = table_of(model)
    found = rt.session.execute(sa.select(table).order_by(table.c.id)).all()
    rt.session.rollback()
    return list(found)


@pytest.fixture
def waiting(rt: Runtime, clock: FrozenClock) -> tuple[AnyRow, AnyRow]:
    """Two invoices of one payer, a day apart; the charge of each waits for the bank."""
    plan = make.make_plan(rt)
    for day in (DUE, DUE + timedelta(days=1)):
        populate(rt, plan, make.price_of(rt, plan), 1, day, card=WAITS)
    payer = rows(rt, Subscription)[0].customer_id
    values = {"payer_id": payer, "payment_method_id": None}
    rt.session.execute(sa.update(table_of(Subscription)).values(values))
    rt.session.commit()
    clock.advance(days=(DUE - rt.today()).days)
    run_renewals(rt)
    clock.advance(days=1)
    run_renewals(rt)
    first, second = [
        row for row in rows(rt, ChargeAttempt) if row.state == AttemptState.ACTION_REQUIRED
    ]
    return first, second


def with_a_known_one(rt: Runtime, gateway: DemoGateway, invoice: str) -> int:
    payer = rows(rt, Invoice)[-1].payer_id
    owner = rt.session.get_one(Customer, payer)
    new = make.make_method(rt, owner, card="4242", is_default=False)
    key, name = new.id, new.public_id
    rt.session.rollback()
    assert pay_now(rt, payer, invoice, name) is Paid.DONE
    return key


def with_a_new_one(rt: Runtime, gateway: DemoGateway, invoice: str) -> int:
    page = pay_links.begin_card(rt, invoice, "http://localhost/pay")
    gateway.bank.choose(page.rpartition("/")[2], "4242")
    assert pay_links.finish_card(rt, rows(rt, GatewaySetup)[-1].public_id, {}).paid is Paid.DONE
    key = rows(rt, GatewaySetup)[-1].payment_method_id
    assert key is not None
    return int(key)


@pytest.mark.parametrize("pay", [with_a_known_one, with_a_new_one])
@pytest.mark.parametrize("is_planned", [True, False], ids=["planned", "waits"])
def test_the_other_invoice_asks_the_new_method_and_never_the_old_one_again(
    rt: Runtime,
    demo_gateway: DemoGateway,
    waiting: tuple[AnyRow, AnyRow],
    pay: Pay,
    is_planned: bool,
) -> None:
    first, second = waiting
    if is_planned:
        table = table_of(ChargeAttempt)
        values = {"state": AttemptState.PLANNED, "public_id": "pay_planned", "check_at": None}
        rt.session.execute(sa.update(table).where(table.c.id == second.id).values(values))
        rt.session.commit()
    asked = next(row.public_id for row in rows(rt, Invoice) if row.id == first.invoice_id)

    new = pay(rt, demo_gateway, asked)
    for _run in range(2):
        send_planned(rt)
        chase_due(rt)

    mine = [row for row in rows(rt, ChargeAttempt) if row.invoice_id == second.invoice_id]
    assert [row.state for row in mine] == [AttemptState.ABANDONED, AttemptState.SUCCEEDED]
    assert mine[-1].payment_method_id == new
    assert demo_gateway.bank.executed_count(mine[0].public_id) == 0
    assert (mine[0].reason == "method_replaced") is is_planned
