"""A firm that orders with a VAT number: whose it is, and what its renewals are charged."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.tax_treatment import TaxIdState
from storefront.models import Customer, Invoice, Subscription
from storefront.operations.beginning import Start
from storefront.services import tax_ids
from storefront.services.checkout import change_delivery, start_checkout
from storefront.services.finishing import Outcome
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from tests.support.admin import make_staff
from tests.support.orders import ADA, only, paid

DUE = datetime(2027, 4, 12, 9, 0, tzinfo=UTC)
FIRM = "FR40303265045"


def invoices(rt):
    rows = rt.session.execute(sa.select(Invoice.__table__).order_by(Invoice.id)).all()
    rt.session.rollback()
    return rows


def renew(rt, clock):
    clock.set(DUE)
    return run_renewals(rt)


def order_of_a_firm(rt, demo_gateway, number, state, **address):
    firm_orders(rt, demo_gateway, number, state, **address)
    return only(rt, Invoice), only(rt, Customer)


def firm_orders(rt, demo_gateway, number, state, **address):
    plan = make.make_plan(rt)
    key = start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id))
    to = {**ADA, "country": "FR", "postcode": "75001", "city": "Paris", **address}
    assert change_delivery(rt, key, "ada@example.org", to, (number, state))
    assert paid(rt, demo_gateway, key) is Outcome.DONE


def test_a_firm_with_a_valid_number_orders_without_tax_and_renews_so(rt, clock, demo_gateway):
    invoice, customer = order_of_a_firm(rt, demo_gateway, FIRM, TaxIdState.VALID)
    assert (invoice.total_minor, invoice.tax_minor) == (2167, 0)
    assert invoice.tax_treatment == "reverse_charge"
    assert (customer.tax_id, customer.tax_id_state) == (FIRM, "valid")
    renew(rt, clock)

    assert [each.total_minor for each in invoices(rt)] == [2167, 2167]


def test_a_pending_number_is_kept_and_charged_with_tax(rt, demo_gateway):
    invoice, customer = order_of_a_firm(rt, demo_gateway, FIRM, TaxIdState.PENDING)

    assert (invoice.total_minor, invoice.tax_treatment) == (2600, "standard")
    assert (customer.tax_id, customer.tax_id_state) == (FIRM, "pending")
    assert customer.tax_id_checked_at is None


def test_an_order_under_a_foreign_e_mail_does_not_replace_its_owners_number(rt, demo_gateway):
    make.make_customer(rt, email="ada@example.org", tax_id="ATU37675002", tax_id_state="valid")
    _invoice, customer = order_of_a_firm(rt, demo_gateway, FIRM, TaxIdState.VALID)

    assert customer.tax_id == "ATU37675002"


@pytest.mark.parametrize("own", [{}, {"tax_id": "ATU37675002", "tax_id_state": "invalid"}])
def test_a_firm_that_orders_under_a_known_e_mail_renews_at_the_price_it_was_shown(
    rt, clock, demo_gateway, own
):
    make.make_customer(rt, email="ada@example.org", **own)
    invoice, customer = order_of_a_firm(rt, demo_gateway, FIRM, TaxIdState.VALID)
    assert (invoice.total_minor, customer.tax_id) == (2167, own.get("tax_id", ""))
    row = only(rt, Subscription)
    assert row.order_tax_id == FIRM
    renew(rt, clock)

    _first, second = invoices(rt)
    assert (second.total_minor, second.tax_treatment) == (2167, "reverse_charge")
    assert second.snapshot["buyer"]["tax_id"] == FIRM


def test_another_subscription_of_that_account_is_charged_as_before(rt, clock, demo_gateway):
    owner = make.make_customer(rt, email="ada@example.org")
    make.make_subscription(rt, customer=owner, address={"country": "FR", "postcode": "75001"})
    firm_orders(rt, demo_gateway, FIRM, TaxIdState.VALID)
    renew(rt, clock)

    assert sorted(each.total_minor for each in invoices(rt)) == [2167, 2167, 2600, 2600]


def test_what_the_accounts_owner_saves_replaces_the_number_of_the_order(rt, clock, demo_gateway):
    owner = make.make_customer(rt, email="ada@example.org")
    order_of_a_firm(rt, demo_gateway, FIRM, TaxIdState.VALID)
    tax_ids.save_tax_id(rt, owner.id, "", "FR")
    renew(rt, clock)

    assert [each.total_minor for each in invoices(rt)] == [2167, 2600]


def test_a_pending_number_under_a_known_e_mail_is_charged_with_tax_then_and_later(
    rt, clock, demo_gateway
):
    make.make_customer(rt, email="ada@example.org")
    order_of_a_firm(rt, demo_gateway, FIRM, TaxIdState.PENDING)
    renew(rt, clock)

    assert [each.total_minor for each in invoices(rt)] == [2600, 2600]


EXEMPT = {"email": "ada@example.org", "is_tax_exempt": True}


def totals(rt):
    return [(each.total_minor, each.tax_treatment) for each in invoices(rt)]


@pytest.mark.parametrize(
    "account",
    [EXEMPT, {"email": "ada@example.org", "tax_id": FIRM, "tax_id_state": "valid"}],
    ids=["exempt", "number"],
)
def test_an_order_signed_out_is_charged_the_tax_it_was_shown_also_later(
    rt, clock, demo_gateway, account
):
    make.make_customer(rt, **account)
    firm_orders(rt, demo_gateway, "", TaxIdState.NONE)
    renew(rt, clock)

    assert totals(rt) == [(2600, "standard"), (2600, "standard")]


def test_what_an_exempt_customer_orders_signed_in_bears_no_tax_then_or_later(
    rt, clock, demo_gateway
):
    owner = make.make_customer(rt, **EXEMPT)
    plan = make.make_plan(rt)
    start = Start(plan.id, make.price_of(rt, plan).id, customer_id=owner.id, email=owner.email)
    key = start_checkout(rt, start)
    assert change_delivery(rt, key, owner.email, {**ADA, "country": "FR", "postcode": "75001"})
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    renew(rt, clock)

    assert totals(rt) == [(2167, "exempt"), (2167, "exempt")]


def test_staff_exempt_what_was_ordered_signed_out_too(rt, clock, demo_gateway):
    owner = make.make_customer(rt, **EXEMPT)
    firm_orders(rt, demo_gateway, "", TaxIdState.NONE)
    who = make_staff(rt)
    assert tax_ids.set_exempt(rt, who, owner.public_id, is_exempt=True)
    assert not tax_ids.set_exempt(rt, who, owner.public_id, is_exempt=True)
    renew(rt, clock)

    assert totals(rt) == [(2600, "standard"), (2167, "exempt")]


def test_an_exemption_given_after_the_order_holds_for_it(rt, clock, demo_gateway):
    owner = make.make_customer(rt, email="ada@example.org")
    firm_orders(rt, demo_gateway, "", TaxIdState.NONE)
    assert tax_ids.set_exempt(rt, make_staff(rt), owner.public_id, is_exempt=True)
    renew(rt, clock)

    assert totals(rt) == [(2600, "standard"), (2167, "exempt")]


def test_the_owner_who_saves_a_number_in_the_account_is_taxed_by_it(rt, clock, demo_gateway):
    owner = make.make_customer(rt, email="ada@example.org", tax_id=FIRM, tax_id_state="valid")
    firm_orders(rt, demo_gateway, "", TaxIdState.NONE)
    tax_ids.save_tax_id(rt, owner.id, FIRM, "FR")
    renew(rt, clock)

    assert totals(rt) == [(2600, "standard"), (2167, "reverse_charge")]


def test_who_orders_for_the_first_time_is_taxed_by_the_account_this_makes(rt, clock, demo_gateway):
    _invoice, owner = order_of_a_firm(rt, demo_gateway, "", TaxIdState.NONE)
    assert not only(rt, Subscription).is_taxed_as_ordered
    rt.session.execute(sa.update(Customer).values(is_tax_exempt=True))
    rt.session.commit()
    renew(rt, clock)

    assert owner.email == "ada@example.org"
    assert totals(rt) == [(2600, "standard"), (2167, "exempt")]
