"""What zones and weights do to orders, payments and boxes."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.models import Box, Invoice, InvoiceLine, Plan, Subscription
from storefront.operations.audit import Who
from storefront.operations.checkout import Market, find_checkout, read_order
from storefront.queries.next_payment import next_price
from storefront.runtime import Runtime
from storefront.services.addresses import NotServed, PostalAddress, change_address
from storefront.services.checkout import Step, change_delivery
from storefront.services.cycles import close_cycles
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.packing import Ingredient, retry_boxes, save_recipe
from storefront.services.renewals import run_renewals
from storefront.services.shipping import remove_zone, save_weights
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.orders import ADA, begin, choose, order, paid, quote_hash

ISLAND = ADA | {"postcode": "18565", "city": "Hiddensee"}


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot")


@pytest.fixture
def zones(rt: Runtime, who: Who, plan: Plan) -> None:
    """Germany by weight, an island dearer; a pot counts as 1,200 g."""
    assert plan.id
    make.make_zone(rt, "DE", {0: 390, 1000: 590, 3000: 990})
    make.make_zone(rt, "DE 18565", 1290)
    save_weights(rt, who, "pot", {"": 1200})


def due(rt: Runtime, key: str) -> int:
    row = find_checkout(rt.session, key)
    found = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    assert found.quote is not None
    return found.quote.due_today.minor


def lines(rt: Runtime) -> list[tuple[int, list[int]]]:
    """Return total and amounts of delivery of each invoice with a number."""
    invoice, line = Invoice.__table__, InvoiceLine.__table__
    found = []
    for row in rt.session.execute(
        sa.select(invoice).where(invoice.c.number.is_not(None)).order_by(invoice.c.id)
    ).all():
        sent = sa.select(line.c.amount_minor).where(
            line.c.invoice_id == row.id, line.c.kind == "shipping"
        )
        found.append((row.total_minor, list(rt.session.scalars(sent))))
    rt.session.rollback()
    return found


@pytest.mark.usefixtures("zones")
def test_an_order_pays_by_weight_and_postcode_and_the_renewal_pays_the_same(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan)
    assert due(rt, key) == 2600 + 590
    change_delivery(rt, key, "ada@example.org", ISLAND)
    assert due(rt, key) == 2600 + 1290
    assert paid(rt, demo_gateway, key) is Outcome.DONE

    row = rt.session.execute(sa.text("SELECT customer_id, public_id FROM subscription")).one()
    day = date(2027, 4, 12)
    shown = next_price(rt.session, row.customer_id, row.public_id, day, rt.shop.taxes)
    rt.session.rollback()
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)

    assert lines(rt) == [(3890, [1290]), (3890, [1290])]
    assert shown == Money(3890, "EUR")


@pytest.mark.usefixtures("zones")
def test_a_price_that_rose_while_somebody_read_is_shown_before_it_is_charged(
    rt: Runtime, plan: Plan, who: Who
) -> None:
    key = begin(rt, plan)
    shown = quote_hash(rt, key)
    save_weights(rt, who, "pot", {"": 3500})
    assert order(rt, key, shown).step is Step.CHANGED
    assert due(rt, key) == 2600 + 990
    assert lines(rt) == []


@pytest.mark.usefixtures("zones")
def test_heavier_contents_change_no_price(
    rt: Runtime, plan: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    anvil = make.make_variant(rt, weight_grams=9000)
    save_recipe(rt, plan.public_id, None, "", [Ingredient(anvil.public_id, 1)])
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    assert lines(rt) == [(3190, [590]), (3190, [590])]


@pytest.mark.usefixtures("zones")
def test_an_order_into_a_blocked_place_is_not_taken(rt: Runtime, plan: Plan) -> None:
    key = begin(rt, plan)
    shown = quote_hash(rt, key)
    make.make_zone(rt, "DE 0774", None)
    assert order(rt, key, shown).step is Step.INCOMPLETE


def test_a_plan_that_ships_nothing_is_sold_into_a_blocked_place(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    letter = make.make_plan(rt, code="letter", ships=False)
    make.make_zone(rt, "DE", None)
    assert paid(rt, demo_gateway, begin(rt, letter)) is Outcome.DONE


def test_an_address_is_not_changed_into_a_blocked_place(rt: Runtime) -> None:
    sub = make.make_subscription(rt)
    make.make_zone(rt, "DE 18565, FR", None)
    typed = PostalAddress("Ada", "Am Hafen 1", "18565", "Hiddensee", "DE")
    assert sub.customer_id is not None
    with pytest.raises(NotServed):
        change_address(rt, sub.customer_id, sub.public_id, typed)
    abroad = PostalAddress("Ada", "Rue 1", "75011", "Paris", "FR")
    with pytest.raises(NotServed):
        change_address(rt, sub.customer_id, sub.public_id, abroad)


def test_a_box_to_a_place_blocked_since_waits_and_goes_once_it_is_free_again(
    rt: Runtime, who: Who, clock: FrozenClock
) -> None:
    sub = make.make_subscription(rt)
    plan = rt.session.scalars(sa.select(Plan.public_id).where(Plan.id == sub.plan_id)).one()
    rt.session.rollback()
    save_recipe(rt, plan, None, "", [Ingredient(make.make_variant(rt).public_id, 1)])
    zone = make.make_zone(rt, "DE 07", None)
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    assert close_cycles(rt).boxes.held == {"no_address": 1}

    remove_zone(rt, who, zone.public_id)
    row = rt.session.execute(
        sa.text(
            "SELECT b.public_id AS box, c.public_id AS cycle FROM box b "
            "JOIN box_cycle c ON c.id = b.cycle_id"
        )
    ).one()
    rt.session.rollback()
    assert retry_boxes(rt, row.cycle).locked == 1
    assert rt.session.scalars(sa.select(Box.ship_to)).one()["postcode"] == "07743"
    assert rt.session.scalars(sa.select(Subscription.id)).one() == sub.id
    rt.session.rollback()


def test_a_place_that_was_blocked_while_the_card_was_typed_is_not_charged(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, zones: None
) -> None:
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))
    make.make_zone(rt, f"DE {ADA['postcode']}", None)

    assert finish_checkout(rt, key).outcome is Outcome.CHANGED
    assert demo_gateway.bank.executed_count() == 0


def test_an_order_and_its_renewals_weigh_the_same_box(
    rt: Runtime, who: Who, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    """Codes of which one begins the other are in another order once the answers are added."""
    plan = make.make_plan(rt, code="cup")
    make.make_options(rt, plan, code="extra", choices=[("a", "A", 0)])
    make.make_options(rt, plan, code="extra2", choices=[("b", "B", 0)])
    make.make_zone(rt, "DE", {0: 390, 1000: 590})
    save_weights(rt, who, "cup", {"extra=a": 900, "extra2=b": 2500})
    key = begin(rt, plan, options={"extra": "a", "extra2": "b"})
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    first, second = lines(rt)
    assert first[1] == second[1]
