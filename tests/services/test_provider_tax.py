"""A tax provider's rate in everything that is priced beside orders and renewals of a plan."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa

from storefront import tax_desk
from storefront.domain.addons import Cadence
from storefront.domain.invoices import LineKind
from storefront.domain.money import Money
from storefront.domain.tax_treatment import TaxAnswer, TaxQuestion
from storefront.hooks import hookimpl
from storefront.models import Customer, Invoice, InvoiceLine
from storefront.operations.addon_changes import AddonWish
from storefront.operations.consents import Given
from storefront.runtime import Runtime
from storefront.services import ad_hoc
from storefront.services.addons import quote_addon, save_addon
from storefront.services.baskets import BoxChoice, Changed, change_box
from storefront.services.finishing import Outcome
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.changing import go
from tests.support.orders import begin, only, paid

RATES = {"reduced": "5", "standard": "15", "zero": "0"}
YES = Given("I agree.", "add-on-2", "192.0.2.1", "UA")


class Provider:
    """Answers by class alone, and never while a transaction is open."""

    def __init__(self, rt: Runtime) -> None:
        self.session = rt.session()

    @hookimpl
    def quote_tax(self, question: TaxQuestion) -> TaxAnswer:
        assert not self.session.in_transaction()
        return TaxAnswer(Decimal(RATES[question.tax_class]), "sample-tax")


def ask_provider(rt: Runtime) -> None:
    rt.hooks.register(Provider(rt), name="sample-tax")


def last(rt: Runtime) -> tuple[dict[str, int], str]:
    """Return the rate of each kind of line on the last invoice, and who said so."""
    invoice = rt.session.execute(
        sa.select(Invoice.id, Invoice.snapshot).order_by(Invoice.id.desc()).limit(1)
    ).one()
    lines = rt.session.execute(
        sa.select(InvoiceLine.kind, InvoiceLine.tax_rate_bp).where(
            InvoiceLine.invoice_id == invoice.id
        )
    ).all()
    rt.session.rollback()
    return {LineKind(one.kind).value: one.tax_rate_bp for one in lines}, invoice.snapshot["tax"][
        "source"
    ]


def test_a_change_at_once_is_taxed_by_the_provider_for_the_plan_it_goes_to(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    group = make.make_group(rt, cycles=40)
    small = make.make_plan(rt, group=group, amount_minor=4000, unit="year", tax_class="reduced")
    big = make.make_plan(rt, group=group, amount_minor=6000, unit="year", tax_class="standard")
    sub = make.make_subscription(rt, plan=small)
    ask_provider(rt)

    _, done = go(rt, sub, big, when="restart")

    assert done.outcome == "applied"
    rates, source = last(rt)
    assert source == "sample-tax"
    assert rates == {"proration_charge": 1500, "proration_credit": 700}


def test_an_add_on_is_taxed_by_the_provider_where_it_is_shown_and_at_the_renewal(
    rt: Runtime, clock: FrozenClock
) -> None:
    plan = make.make_plan(rt, tax_class="reduced", amount_minor=None)
    make.make_price(rt, plan, tax_inclusive=False)
    sub = make.make_subscription(rt, plan=plan)
    addon = make.make_addon(rt, 1000, tax_class="standard")
    ask_provider(rt)
    wish = AddonWish(addon.public_id, 1, Cadence.EVERY)

    shown = quote_addon(rt, sub.customer_id or 0, sub.public_id, wish)
    save_addon(rt, sub.customer_id or 0, sub.public_id, wish, shown.quote_hash, YES)

    assert shown.amount == Money(2730 + 1150, "EUR")
    clock.advance(days=41)
    assert run_renewals(rt).billed == 1
    assert last(rt) == ({"plan": 500, "addon": 1500}, "sample-tax")


def test_an_add_on_at_the_checkout_is_taxed_by_the_provider(
    rt: Runtime, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt, tax_class="reduced")
    addon = make.make_addon(rt, 1000, tax_class="standard")
    ask_provider(rt)
    key = begin(rt, plan)
    picked = [{"addon": addon.public_id, "quantity": 1, "cadence": "every"}]
    assert (
        change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, picked))
        is Changed.DONE
    )
    tax_desk.prepare_checkout(rt, key)

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    assert last(rt) == ({"plan": 500, "addon": 1500}, "sample-tax")


@pytest.mark.parametrize("tax_class", ["reduced", "standard"])
def test_an_extra_charge_is_taxed_by_the_provider(rt: Runtime, tax_class: str) -> None:
    sub = make.make_subscription(rt)
    who, customer = make_staff(rt), only(rt, Customer).public_id
    ask_provider(rt)
    extra = ad_hoc.Extra("A teapot", Money(2500, "EUR"), tax_class)

    shown = ad_hoc.quote_extra(rt, customer, sub.public_id, extra).quote_hash
    done = ad_hoc.charge_extra(rt, who, customer, sub.public_id, extra, shown, "form-1")

    assert done.outcome is ad_hoc.Outcome.PAID
    assert last(rt) == ({"extra": int(RATES[tax_class]) * 100}, "sample-tax")
