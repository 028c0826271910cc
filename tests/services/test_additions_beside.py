"""Add-ons in boxes, beside what else happens to them: borders, accounts, erasure, disputes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront import charges
from storefront.domain.addons import Reach
from storefront.domain.boxes import BoxState
from storefront.domain.disputes import NothingToEnd
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Afterwards, Way
from storefront.models import (
    Addon,
    Address,
    Box,
    BoxAddition,
    BoxAdditionBox,
    ChargeAttempt,
    CreditNote,
    Customer,
    Dispute,
    Invoice,
    PaymentMethod,
    Plan,
    Refund,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.operations.consents import Given
from storefront.queries.customs import customs_rows
from storefront.queries.invariants import broken
from storefront.queries.own_data import everything_of
from storefront.runtime import Runtime
from storefront.services import disputes
from storefront.services.additions import AdditionWish, add_to_boxes, quote_now
from storefront.services.baskets import BoxChoice, change_box
from storefront.services.cycles import close_cycles
from storefront.services.erasure import ask_erasure
from storefront.services.finishing import Outcome
from storefront.services.merging import merge_customers
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.refunds import send_refunds
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.hooks import send
from tests.support.orders import begin, paid

YES = Given("I agree.", "add-on-2", "192.0.2.1", "UA")


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    """Three boxes for 75.00, each with a tea."""
    plan = make.make_plan(rt, amount_minor=7500, count=3, group=make.make_group(rt, cycles=12))
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, sku="TEA", weight_grams=70)])
    return plan


def one(rt: Runtime, statement: Any) -> Any:
    found = rt.session.scalars(statement).one()
    rt.session.rollback()
    return found


def add(rt: Runtime, ref: str, addon: Addon, pieces: int, reach: Reach = Reach.NEXT) -> str:
    """Put it into the paid boxes of a subscription; returns what came of it."""
    owner = one(rt, sa.select(Subscription.customer_id).where(Subscription.public_id == ref))
    wish = AdditionWish(addon.public_id, pieces, reach)
    shown = quote_now(rt, owner, ref, wish).quote_hash
    return add_to_boxes(rt, owner, ref, wish, shown, f"once-{addon.public_id}", YES).outcome


def test_pieces_from_a_period_and_an_addition_are_declared_together_as_what_they_are(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, clock: FrozenClock
) -> None:
    """Value and weight of one piece, at its retail price, whatever it was sold for."""
    make.make_shop(rt, countries=["DE", "CH"])
    named: dict[str, Any] = {"hs_code": "040900", "origin_country": "NZ", "customs_text": "honey"}
    honey = make.make_variant(rt, sku="HONEY", weight_grams=350, price_minor=900, **named)
    mug = make.make_variant(rt, sku="MUG", weight_grams=410, price_minor=1500)
    sweet, cup = make.make_addon(rt, 500, variant=honey), make.make_addon(rt, 700, variant=mug)
    key = begin(rt, plan)
    pick = {"addon": sweet.public_id, "quantity": 1, "cadence": "once"}
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, [pick]))
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    ref = one(rt, sa.select(Subscription.public_id))
    where = sa.select(Subscription.address_id).scalar_subquery()
    zurich = {"country": "CH", "postcode": "8001", "city": "Zürich"}
    rt.session.execute(sa.update(Address).where(Address.id == where).values(**zurich))
    rt.session.commit()
    assert [add(rt, ref, sweet, 2), add(rt, ref, cup, 1)] == ["added", "added"]
    # Not sold any more, but in a box that is to be declared.
    rt.session.execute(sa.update(Addon).values(archived_at=rt.now()))
    rt.session.commit()
    assert {"HONEY", "MUG"} <= {row.sku for row in customs_rows(rt.session)}
    rt.session.rollback()
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    close_cycles(rt)

    packing = one(rt, sa.select(Box.packing).where(Box.locked_at.is_not(None)))
    assert packing["contents"] == [["TEA", 1], ["HONEY", 3], ["MUG", 1]]
    assert packing["weight_grams"] == 70 + 3 * 350 + 410
    _tea, *lines = packing["customs"]
    assert lines == [
        {
            "sku": "HONEY", "pieces": 3, "grams": 350, "hs_code": "040900", "origin": "NZ",
            "text": "honey", "value_minor": 900, "currency": "EUR",
        },
        {
            "sku": "MUG", "pieces": 1, "grams": 410, "hs_code": "", "origin": "",
            "text": "", "value_minor": 1500, "currency": "EUR",
        },
    ]  # fmt: skip


def test_an_addition_follows_its_account_and_is_in_its_file_until_it_is_erased(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
) -> None:
    kept, merged = make.make_customer(rt), make.make_customer(rt)
    make.make_subscription(rt, plan=plan, customer=kept)
    ref = make.make_subscription(rt, plan=plan, customer=merged).public_id
    addon = make.make_addon(rt, 500, name="Honey", variant=make.make_variant(rt, sku="HONEY"))
    assert add(rt, ref, addon, 2, Reach.REST) == "added"
    mug = make.make_addon(rt, 700, name="Mug", variant=make.make_variant(rt, sku="MUG"))
    bank: Any = demo_gateway.bank
    asks = bank.token_for("3220")
    mine = PaymentMethod.customer_id == merged.id
    rt.session.execute(sa.update(PaymentMethod).where(mine).values(token=asks))
    rt.session.commit()
    assert add(rt, ref, mug, 1) == "action"

    who = make_staff(rt)
    # While the bank asks: what it pays for goes on in the other account.
    assert merge_customers(rt, who, kept.public_id, merged.public_id) is not None
    last = sa.select(ChargeAttempt.id, ChargeAttempt.gateway_reference)
    attempt = rt.session.execute(last.order_by(ChargeAttempt.id.desc()).limit(1)).one()
    rt.session.rollback()
    bank.confirm_charge(attempt.gateway_reference, True)
    charges.look_up(rt, attempt.id)

    states = rt.session.scalars(sa.select(BoxAddition.state)).all()
    payers = set(rt.session.scalars(sa.select(Invoice.payer_id)))
    assert (list(states), payers) == (["applied"] * 2, {kept.id})
    told = everything_of(rt.session, kept.id)
    old = everything_of(rt.session, merged.id)
    rt.session.rollback()
    assert (old["additions"], old["add_ons"]) == ([], [])
    found = [(row["name"], row["quantity"], row["gross_minor"]) for row in told["additions"]]
    assert found == [("Honey", 2, 1000)] * 3 + [("Mug", 1, 700)]
    [goes_on] = told["add_ons"]
    assert (goes_on["subscription"], goes_on["name"], goes_on["unit_minor"]) == (ref, "Honey", 500)
    boxes = {row["public_id"] for row in told["boxes"]}
    paid_with = {row["public_id"] for row in told["invoices"]}
    assert {row["box"] for row in told["additions"]} <= boxes
    assert {row["paid_with"] for row in told["additions"]} <= paid_with

    owner = one(rt, sa.select(Customer.public_id).where(Customer.id == kept.id))
    boxes_of = sa.select(Invoice.public_id).where(Invoice.total_minor == 7500)
    for invoice in rt.session.scalars(boxes_of).all():
        stop(rt, who, invoice)
    send_refunds(rt)
    assert ask_erasure(rt, owner).is_done
    # What was sold stays, as the documents say it; of the one who bought it nothing does.
    left = everything_of(rt.session, kept.id)
    rt.session.rollback()
    assert [row["name"] for row in left["additions"]] == ["Honey"] * 3 + ["Mug"]
    assert left["you"][0]["name"] == ""


def stop(rt: Runtime, who: Who, invoice: str) -> None:
    """Refund what three boxes cost, and let none of them leave."""
    line = next(iter(offer(rt, invoice).lines)).head.id
    wish = Wish({line: 7500}, Way.CARD, CreditReason.REFUND, Afterwards.STOP_NOW)
    refund(rt, who, invoice, wish, quote_refund(rt, invoice, wish).quote_hash)


def lost(rt: Runtime, client: FlaskClient, bank: Any, payment: str) -> str:
    """Have the owner of the card dispute a payment, and win; returns our name of it."""
    told = {"about": "dispute", "type": "dispute", "reference": payment}
    found = bank.dispute(payment)
    assert send(client, rt, **told).status_code == 200
    bank.decide_dispute(found.reference, False)
    assert send(client, rt, **told).status_code == 200
    return str(one(rt, sa.select(Dispute.public_id)))


def given_back(rt: Runtime) -> list[tuple[int, int]]:
    """Return (total, number of refunds of that much) of the credit notes for refunds."""
    notes = rt.session.scalars(sa.select(CreditNote.total_minor).order_by(CreditNote.id)).all()
    refunds = list(rt.session.scalars(sa.select(Refund.amount_minor)))
    rt.session.rollback()
    return [(total, refunds.count(total)) for total in notes]


@pytest.mark.parametrize("is_of_the_boxes", [True, False])
def test_after_a_lost_dispute_what_was_added_goes_back_unless_the_bank_took_just_that(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, client: FlaskClient, is_of_the_boxes: bool
) -> None:
    """The boxes were disputed: the addition goes back to its card. It itself was: nothing does."""
    who, honey = make_staff(rt), make.make_variant(rt, sku="HONEY", on_hand=9)
    ref = make.make_subscription(rt, plan=plan).public_id
    addon = make.make_addon(rt, 500, name="Honey", variant=honey)
    assert add(rt, ref, addon, 1, Reach.REST) == "added"
    payments = rt.session.scalars(sa.select(ChargeAttempt.public_id).order_by(ChargeAttempt.id))
    boxes, added = payments.all()
    rt.session.rollback()
    ours = lost(rt, client, demo_gateway.bank, boxes if is_of_the_boxes else added)

    if is_of_the_boxes:
        assert disputes.end(rt, who, ours) == [ref]
        expected = [(1500, 1)]
    else:
        first = sa.select(Invoice.public_id).order_by(Invoice.id).limit(1)
        stop(rt, who, one(rt, first))
        expected = [(7500, 1)]

    assert given_back(rt) == expected
    assert set(rt.session.scalars(sa.select(Box.state))) == {BoxState.CANCELED}
    returned = list(rt.session.scalars(sa.select(BoxAdditionBox.returned_at)))
    assert len(returned) == 3
    assert None not in returned
    # Said once more it gives nothing more.
    if is_of_the_boxes:
        with pytest.raises(NothingToEnd):
            disputes.end(rt, who, ours)
        rt.session.rollback()
        assert given_back(rt) == expected
