"""A paid invoice of several boxes: refunds, changes and the books go by the lines of each."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.documents import paper, sheet
from storefront.domain.boxes import BoxState
from storefront.domain.errors import DomainError
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.refunds import RefundTooHigh
from storefront.models import (
    Box,
    CreditNote,
    Customer,
    Invoice,
    InvoiceLine,
    LedgerTransfer,
    Plan,
    Refund,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.operations.consents import Given
from storefront.queries.document_groups import groups_of
from storefront.queries.documents import document
from storefront.queries.invariants import broken
from storefront.queries.invoices import invoices
from storefront.queries.subscriber import subscriber
from storefront.runtime import Runtime
from storefront.services.accounting import export_accounting
from storefront.services.changes import Wish as ChangeWish
from storefront.services.changes import change, quote_change
from storefront.services.coupons import use_code
from storefront.services.finishing import Outcome
from storefront.services.refunding import Afterwards, Way, Wish, offer, quote_refund, refund
from storefront.services.refunds import send_refunds
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.baskets import begin_with, subscriptions
from tests.support.orders import only, paid

AGREED = Given("I agree.", "renewal-1", "192.0.2.1", "UA")


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def plans(rt: Runtime) -> list[Plan]:
    group = make.make_group(rt, cycles=30)
    return [
        make.make_plan(rt, group=group, code="tea", amount_minor=7800, count=3),
        make.make_plan(rt, group=group, code="pot", amount_minor=5700, count=3),
        make.make_plan(rt, group=group, code="more", amount_minor=9000, count=3),
    ]


@pytest.fixture
def bought(rt: Runtime, plans: list[Plan], demo_gateway: DemoGateway) -> list[Subscription]:
    """Three boxes of tea for 78.00, less 10 %, and three pots for 57.00, in one order."""
    make.make_code(rt, "LEMON")
    key = begin_with(rt, plans[0], plans[1])
    use_code(rt, key, "lemon")
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert only(rt, Invoice).total_minor == 7020 + 5700
    return subscriptions(rt)


def rows(rt: Runtime, model: type) -> list[sa.Row]:
    table = model.__table__  # type: ignore[attr-defined]
    found = list(rt.session.execute(sa.select(table).order_by(table.c.id)))
    rt.session.rollback()
    return found


def give_back(
    rt: Runtime, who: Who, amounts: dict[int, int], afterwards: Afterwards = Afterwards.KEEP
) -> str:
    invoice = only(rt, Invoice).public_id
    wish = Wish(amounts, Way.CARD, CreditReason.REFUND, afterwards)
    return refund(rt, who, invoice, wish, quote_refund(rt, invoice, wish).quote_hash)


def line_of(rt: Runtime, subscription: Subscription) -> int:
    found = offer(rt, only(rt, Invoice).public_id).lines
    return next(one.head.id for one in found if one.head.subscription_id == subscription.id)


def test_a_refund_of_one_box_touches_its_subscription_only(
    rt: Runtime, who: Who, bought: list[Subscription]
):
    tea, pot = bought
    give_back(rt, who, {line_of(rt, pot): 5700}, Afterwards.STOP_NOW)
    send_refunds(rt)

    states = {row.id: row.state for row in rows(rt, Subscription)}
    assert states == {tea.id: SubscriptionState.ACTIVE, pot.id: SubscriptionState.CANCELED}
    boxes = {
        key: [row.state for row in rows(rt, Box) if row.subscription_id == key] for key in states
    }
    assert boxes == {tea.id: [BoxState.PLANNED] * 3, pot.id: [BoxState.CANCELED] * 3}
    invoice = only(rt, Invoice)
    assert (invoice.state, invoice.credited_minor, invoice.paid_minor) == (
        InvoiceState.PAID,
        5700,
        7020,
    )
    assert only(rt, Refund).amount_minor == 5700
    tax = sum(row.tax_minor for row in rows(rt, InvoiceLine) if row.subscription_id == pot.id)
    assert only(rt, CreditNote).tax_minor == tax


def test_no_more_goes_back_than_was_paid_for_the_box(
    rt: Runtime, who: Who, bought: list[Subscription]
):
    tea, _ = bought
    line = line_of(rt, tea)
    with pytest.raises(RefundTooHigh):
        give_back(rt, who, {line: 7021})
    give_back(rt, who, {line: 7020})
    with pytest.raises(DomainError):
        give_back(rt, who, {line: 1})


def test_what_was_refunded_of_each_sums_to_the_invoice(
    rt: Runtime, who: Who, bought: list[Subscription]
):
    for one, parts in zip(bought, ([3333, 3687], [1, 5699]), strict=True):
        for part in parts:
            give_back(rt, who, {line_of(rt, one): part})

    invoice = only(rt, Invoice)
    assert (invoice.credited_minor, invoice.paid_minor) == (12720, 0)
    assert sum(row.tax_minor for row in rows(rt, CreditNote)) == invoice.tax_minor


def test_an_upgrade_of_one_takes_back_its_own_lines_and_discount_only(
    rt: Runtime, plans: list[Plan], bought: list[Subscription]
):
    _, pot = bought
    assert pot.customer_id is not None
    wish = ChangeWish(make.price_of(rt, plans[2]).public_id)
    quote = quote_change(rt, pot.customer_id, pot.public_id, wish)

    # The code lowered the other box: this one was paid in full, and so is what follows it.
    assert (quote.credit.minor, quote.due_today.minor) == (5700, 3300)
    change(rt, pot.customer_id, pot.public_id, wish, quote.quote_hash, AGREED)

    credited = {row.subscription_id: row.credited_minor for row in rows(rt, InvoiceLine)[:1]}
    assert credited == {bought[0].id: 0}
    found = {row.id: row.plan_id for row in rows(rt, Subscription)}
    assert found == {bought[0].id: plans[0].id, pot.id: plans[2].id}


def test_a_refund_after_an_upgrade_never_returns_more_than_was_paid(
    rt: Runtime, who: Who, plans: list[Plan], bought: list[Subscription]
):
    tea, pot = bought
    assert pot.customer_id is not None
    wish = ChangeWish(make.price_of(rt, plans[2]).public_id)
    quote = quote_change(rt, pot.customer_id, pot.public_id, wish)
    change(rt, pot.customer_id, pot.public_id, wish, quote.quote_hash, AGREED)

    first = offer(rt, rows(rt, Invoice)[0].public_id)
    left = {one.head.subscription_id: one.left for one in first.lines}
    assert left[tea.id] == 7020
    assert left.get(pot.id, 0) == 0
    assert first.ways[Way.CARD] == 7020


def test_each_box_earns_its_own_revenue(
    rt: Runtime, bought: list[Subscription], clock: FrozenClock
):
    assert clock
    deferred = {
        row.period_id: row.amount_minor
        for row in rows(rt, LedgerTransfer)
        if row.credit == "deferred_revenue"
    }
    nets = {}
    for line in rows(rt, InvoiceLine):
        nets[line.period_id] = nets.get(line.period_id, 0) + line.gross_minor - line.tax_minor
    assert deferred == nets
    assert len(nets) == 2
    assert [row.mrr_minor > 0 for row in rows(rt, Subscription)] == [True, True]


def test_the_accounting_export_has_every_line_once(
    rt: Runtime, who: Who, bought: list[Subscription], tmp_path: Path
):
    give_back(rt, who, {line_of(rt, bought[1]): 1900})
    export_accounting(rt, date(2027, 3, 1), date(2027, 3, 31), tmp_path / "out")

    with (tmp_path / "out" / "invoices.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    sold = [Decimal(row["gross"]) for row in lines if row["kind"] != "credit_note"]
    assert sorted(sold) == [Decimal("-7.80"), Decimal("57.00"), Decimal("78.00")]
    back = [Decimal(row["gross"]) for row in lines if row["kind"] == "credit_note"]
    assert back == [Decimal("-19.00")]


def test_the_document_says_which_lines_belong_to_which_box(rt: Runtime, bought: list[Subscription]):
    found = document(rt.session, only(rt, Invoice).public_id)
    assert found is not None
    groups = groups_of(found.lines)
    assert [(group.plan, group.total.minor) for group in groups] == [("Pot", 7020), ("Pot", 5700)]
    assert [len(group.lines) for group in groups] == [2, 1]
    lines = sheet(found, "en").lines
    heads = [(line.text, line.cells[-1]) for line in lines if line.is_head]
    assert heads == [("Box 1: Pot", "€70.20"), ("Box 2: Pot", "€57.00")]
    assert paper(found) == paper(found)


def test_an_invoice_for_one_box_has_no_groups(rt: Runtime, plans: list[Plan]):
    make.make_subscription(rt, plan=plans[0])
    found = document(rt.session, only(rt, Invoice).public_id)
    assert found is not None
    assert not any(line.is_head for line in sheet(found, "en").lines)


def test_the_lists_of_invoices_name_every_box(rt: Runtime, demo_gateway: DemoGateway):
    tea = make.make_plan(rt, code="tea", name="Leaf club")
    pot = make.make_plan(rt, code="pot", name="Pot")
    assert paid(rt, demo_gateway, begin_with(rt, tea, pot)) is Outcome.DONE
    owner = subscriptions(rt)[0].customer_id
    assert owner is not None

    listed = invoices(rt.session, owner, rt.today()).rows
    assert [sorted(row.text.split(", ")) for row in listed] == [["Leaf club", "Pot"]]
    ref = rt.session.get_one(Customer, owner).public_id
    page = subscriber(rt.session, ref, rt.moment(), rt.shop.currency, rt.shop.taxes)
    assert page is not None
    [row] = page.invoices
    assert sorted(row.text.split(", ")) == ["Leaf club", "Pot"]
