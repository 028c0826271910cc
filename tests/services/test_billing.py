"""An invoice can be for somebody else than who gets the box; delivery and tax go by the box."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from storefront.models import Checkout, Customer, Invoice
from storefront.operations.beginning import Start
from storefront.queries.own_data import everything_of
from storefront.runtime import Runtime
from storefront.services.billing import save_billing
from storefront.services.checkout import Step, change_delivery, start_checkout
from storefront.services.finishing import Outcome
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import ADA, only, order, paid, quote_hash

WORKS = {
    "name": "Analytical Works",
    "company": "",
    "street": "Rue de Rivoli 1",
    "extra": "Accounts",
    "postcode": "75001",
    "city": "Paris",
    "region": "",
    "country": "FR",
}


def ordered(rt: Runtime, gateway: DemoGateway, email: str = "ada@example.org") -> str:
    plan = make.make_plan(rt)
    key = start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id))
    assert change_delivery(rt, key, email, ADA, billing=WORKS)
    assert paid(rt, gateway, key) is Outcome.DONE
    return key


def invoices(rt: Runtime) -> list[Invoice]:
    found = list(rt.session.scalars(sa.select(Invoice).order_by(Invoice.id)))
    rt.session.rollback()
    return found


def billing(rt: Runtime) -> dict[str, str]:
    found = rt.session.scalars(sa.select(Customer.billing)).one()
    rt.session.rollback()
    return found


def test_the_first_invoice_and_the_renewal_are_made_out_to_it(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    ordered(rt, demo_gateway)
    clock.set(datetime(2027, 4, 12, 9, tzinfo=UTC))
    run_renewals(rt)

    first, second = invoices(rt)
    for invoice in (first, second):
        assert invoice.snapshot["buyer"] == {**WORKS, "email": "ada@example.org"}
        assert invoice.snapshot["ship_to"]["street"] == "Lindenweg 4"
    # What is sent to Germany bears German tax, whoever gets the invoice.
    assert (first.tax_minor, second.tax_minor) == (415, 415)
    assert only(rt, Customer).name == "Ada Lovelace"


def test_an_order_under_a_foreign_e_mail_does_not_change_its_owners_invoices(
    rt: Runtime, demo_gateway: DemoGateway
):
    make.make_customer(rt, email="ada@example.org")
    ordered(rt, demo_gateway)
    assert invoices(rt)[0].snapshot["buyer"]["street"] == WORKS["street"]
    assert billing(rt) == {}


def test_who_orders_signed_in_again_need_not_type_it(rt: Runtime, demo_gateway: DemoGateway):
    customer = make.make_customer(rt, email="ada@example.org")
    save_billing(rt, customer.id, WORKS)
    plan = make.make_plan(rt)
    start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id, customer_id=customer.id))
    assert only(rt, Checkout).billing == WORKS


def test_whose_order_names_none_any_more_gets_later_invoices_at_home(
    rt: Runtime, demo_gateway: DemoGateway
):
    customer = make.make_customer(rt, email="ada@example.org")
    save_billing(rt, customer.id, WORKS)
    plan = make.make_plan(rt)
    key = start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id, customer_id=customer.id))
    assert change_delivery(rt, key, customer.email, ADA)
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert billing(rt) == {}


def test_another_billing_address_is_agreed_to_again(rt: Runtime):
    plan = make.make_plan(rt)
    key = start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id))
    change_delivery(rt, key, "ada@example.org", ADA)
    shown = quote_hash(rt, key)
    change_delivery(rt, key, "ada@example.org", ADA, billing=WORKS)
    assert order(rt, key, shown).step is Step.CHANGED


def test_it_is_part_of_ones_own_data(rt: Runtime, demo_gateway: DemoGateway):
    ordered(rt, demo_gateway)
    found = everything_of(rt.session, only(rt, Customer).id)
    assert found["you"][0]["billing"] == WORKS
    assert found["orders"][0]["billing"] == WORKS


@pytest.mark.parametrize("billed", [{}, {"name": "Nobody"}])
def test_an_address_without_a_street_is_none(rt: Runtime, billed: dict[str, str]):
    customer = make.make_customer(rt, email="ada@example.org")
    save_billing(rt, customer.id, WORKS)
    save_billing(rt, customer.id, billed)
    assert billing(rt) == {}
