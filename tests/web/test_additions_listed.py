"""The account lists what lies in boxes that are paid for, however it was bought."""

import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.addons import Cadence, Reach
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Afterwards, Way
from storefront.models import Addon, Customer, Invoice, Plan, Subscription
from storefront.models.base import table_of
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.baskets import BoxChoice, change_box
from storefront.services.cycles import close_cycles
from storefront.services.finishing import Outcome
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.services.test_additions import add
from tests.support.admin import make_staff
from tests.support.orders import begin, paid
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    """Three months are paid at once; tea is in each box."""
    made = make.make_plan(rt, code="pot", name="Pot", amount_minor=7500, count=3)
    tea = make.make_variant(rt, on_hand=50)
    save_recipe(rt, made.public_id, None, "", [Ingredient(tea.public_id, 1)])
    return made


@pytest.fixture
def goods(rt: Runtime) -> dict[str, Addon]:
    return {
        name: make.make_addon(rt, 500, name=name, variant=make.make_variant(rt, on_hand=40))
        for name in ("Honey", "Strainer")
    }


@pytest.fixture
def sub(rt: Runtime, plan: Plan, goods: dict[str, Addon], demo_gateway: DemoGateway):
    """Ordered with two strainers once, and honey with every box."""
    customer_with_password(rt, ADA)
    key = begin(rt, plan, email=ADA)
    wanted = (("Strainer", 2, Cadence.ONCE), ("Honey", 1, Cadence.EVERY))
    picked = [
        {"addon": goods[name].public_id, "quantity": pieces, "cadence": cadence.value}
        for name, pieces, cadence in wanted
    ]
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, picked))
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    row = rt.session.scalars(sa.select(Subscription)).one()
    who = rt.session.scalar(sa.select(Customer.id).where(Customer.email == ADA))
    assert row.customer_id == who
    rt.session.expunge_all()
    rt.session.rollback()
    return row


def listed(page: str) -> list[str]:
    """Return the lines below "In boxes that are paid for"."""
    part = page.partition("In boxes that are paid for</h2>")[2].partition("</ul>")[0]
    lines = [re.sub(r"<[^>]+>", " ", line) for line in part.split("</li>")]
    return [" ".join(line.split()) for line in lines if line.strip()]


MARCH, APRIL, MAY = (f"leaves on {day}" for day in ("Thu 18 March", "Mon 19 April", "Tue 18 May"))


def test_what_came_with_the_order_is_listed_beside_what_was_added(
    app: Flask, rt: Runtime, clock: FrozenClock, plan: Plan, goods, sub: Subscription
):
    me, url = Visitor.of(app).sign_in(ADA), f"/account/subscriptions/{sub.public_id}/box"
    ordered = [f"2 × Strainer {MARCH}", f"1 × Honey {MARCH}"]
    later = [f"1 × Honey {APRIL}", f"1 × Honey {MAY}"]
    assert sorted(listed(me.get(url).text)) == sorted(ordered + later)

    assert add(rt, sub, goods["Strainer"], 1, Reach.NEXT).outcome == "added"
    both = [*ordered, *later, f"1 × Strainer {MARCH}"]
    assert sorted(listed(me.get(url).text)) == sorted(both)

    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    close_cycles(rt)
    assert sorted(listed(me.get(url).text)) == sorted(both)
    assert not any(broken(rt.session).values())


def test_what_was_taken_out_again_is_listed_no_more(
    app: Flask, rt: Runtime, plan: Plan, goods, sub: Subscription
):
    me, url = Visitor.of(app).sign_in(ADA), f"/account/subscriptions/{sub.public_id}/box"
    before = listed(me.get(url).text)
    add(rt, sub, goods["Strainer"], 3, Reach.NEXT)
    table = table_of(Invoice)
    invoice = rt.session.scalar(sa.select(table.c.public_id).order_by(table.c.id.desc()).limit(1))
    rt.session.rollback()
    left = {line.head.id: line.left for line in offer(rt, str(invoice)).lines if line.left}
    wish = Wish(left, Way.CREDIT, CreditReason.REFUND, Afterwards.KEEP)
    shown = quote_refund(rt, str(invoice), wish).quote_hash
    refund(rt, make_staff(rt), str(invoice), wish, shown)

    assert listed(me.get(url).text) == before
