"""Whose account keeps the VAT number that was typed at an order, and when."""

from __future__ import annotations

from storefront.domain.tax_treatment import TaxIdState
from storefront.models import Customer, Invoice
from storefront.operations.beginning import Start
from storefront.runtime import Runtime
from storefront.services.checkout import change_delivery, start_checkout
from storefront.services.finishing import Outcome
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import ADA, only, paid

FIRM = "FR40303265045"
PARIS = {**ADA, "country": "FR", "postcode": "75001", "city": "Paris"}


def begin(rt: Runtime, owner: int | None = None, trial_days: int = 0) -> str:
    plan = make.make_plan(rt, trial_days=trial_days)
    key = start_checkout(rt, Start(plan.id, make.price_of(rt, plan).id, customer_id=owner))
    assert change_delivery(rt, key, "ada@example.org", PARIS, (FIRM, TaxIdState.VALID))
    return key


def kept(rt: Runtime) -> tuple[str, str]:
    customer = only(rt, Customer)
    return customer.tax_id, customer.tax_id_state


def test_an_order_under_a_foreign_e_mail_gives_its_owner_no_number(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    make.make_customer(rt, email="ada@example.org")

    assert paid(rt, demo_gateway, begin(rt)) is Outcome.DONE

    assert kept(rt) == ("", "")
    invoice = only(rt, Invoice)
    assert invoice.tax_treatment == "reverse_charge"
    assert invoice.snapshot["buyer"]["tax_id"] == FIRM


def test_a_declined_order_under_a_foreign_e_mail_changes_nothing_of_its_owner(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    make.make_customer(rt, email="ada@example.org", tax_id=FIRM, tax_id_state="invalid")

    assert paid(rt, demo_gateway, begin(rt), "9995") is Outcome.DECLINED

    assert kept(rt) == (FIRM, "invalid")


def test_who_began_the_order_signed_in_has_the_number_once_it_is_paid(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    owner = make.make_customer(rt, email="ada@example.org", tax_id="ATU37675002")
    key = begin(rt, owner.id)
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED
    assert kept(rt) == ("ATU37675002", "")

    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert kept(rt) == (FIRM, "valid")


def test_a_declined_order_of_somebody_new_keeps_no_number_until_it_is_paid(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    key = begin(rt)
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED
    assert kept(rt) == ("", "")

    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert kept(rt) == (FIRM, "valid")


def test_the_number_of_a_free_trial_is_kept_with_who_is_new(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    assert paid(rt, demo_gateway, begin(rt, trial_days=14)) is Outcome.DONE

    assert kept(rt) == (FIRM, "valid")
