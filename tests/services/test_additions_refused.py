"""What cannot be put into a paid box soundly is refused: too small a sum, a piece that is gone."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from storefront import charges
from storefront.blueprints.account.addition_words import sentences
from storefront.domain.addons import Reach
from storefront.domain.changes import QuoteChanged
from storefront.domain.money import Money
from storefront.domain.shortages import Policy
from storefront.models import (
    Addon,
    Box,
    BoxItem,
    CarriedAmount,
    ChargeAttempt,
    CreditNote,
    Customer,
    Invoice,
    PaymentMethod,
    Plan,
    Refund,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.customer_credit import grant_credit
from storefront.operations.places import free_stock
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.additions import (
    Added,
    AdditionWish,
    NothingToAddTo,
    add_to_boxes,
    quote_now,
    sent_before,
)
from storefront.services.baskets import BoxChoice, change_box
from storefront.services.cycles import close_cycles
from storefront.services.finishing import Outcome
from storefront.services.stock import adjust_stock, set_rule
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.changing import bring_card
from tests.support.orders import begin, paid


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Paid for three months: boxes of March, April and May."""
    return make.make_subscription(rt, plan=make.make_plan(rt, amount_minor=7500, count=3))


def add(
    rt: Runtime, sub: Subscription, addon: Addon, quantity: int = 1, once: str = "once-1"
) -> Added:
    who = (rt, sub.customer_id or 0, sub.public_id, AdditionWish(addon.public_id, quantity, NEXT))
    return add_to_boxes(*who, quote_now(*who).quote_hash, once)


NEXT = Reach.NEXT


def credit(rt: Runtime, sub: Subscription, minor: int) -> None:
    amount = Money(minor, "EUR")
    grant_credit(rt.session, sub.customer_id or 0, amount, "goodwill", "", rt.moment())
    rt.session.commit()


def why_not(rt: Runtime, sub: Subscription, addon: Addon, quantity: int = 1) -> str:
    with pytest.raises(NothingToAddTo) as refused:
        add(rt, sub, addon, quantity)
    rt.session.rollback()
    return str(refused.value.params["reason"])


def newest(rt: Runtime, *columns: Any) -> tuple[Any, ...]:
    row = rt.session.execute(sa.select(*columns).order_by(columns[0].table.c.id.desc())).first()
    rt.session.rollback()
    assert row is not None
    return tuple(row)


def test_what_no_gateway_would_charge_is_not_had_without_being_paid(rt: Runtime, sub: Subscription):
    """Carried to a later charge it would be had as often as wished, and none might come."""
    tiny = make.make_addon(rt, 30, name="Sticker", variant=make.make_variant(rt))
    assert why_not(rt, sub, tiny) == "small"
    # Two of them reach the smallest charge, and so does what credit leaves.
    assert add(rt, sub, tiny, 2) == Added("added")
    credit(rt, sub, 170)
    assert add(rt, sub, tiny, 6, "once-2") == Added("added")
    invoice = table_of(Invoice).c
    assert newest(rt, invoice.applied_minor, invoice.paid_minor) == (130, 50)
    # Credit alone pays any sum: 40 are left.
    assert add(rt, sub, tiny, 1, "once-3") == Added("added")
    assert newest(rt, invoice.applied_minor, invoice.paid_minor) == (30, 0)
    assert rt.session.scalars(sa.select(CarriedAmount)).all() == []


def test_a_named_card_that_is_gone_leaves_the_usual_one(rt: Runtime, sub: Subscription):
    honey = make.make_addon(rt, 500, variant=make.make_variant(rt))
    usual = rt.session.scalars(sa.select(PaymentMethod.id)).one()
    gone = make.make_method(rt, rt.session.get_one(Customer, sub.customer_id), is_default=False)
    rt.session.execute(
        sa.update(PaymentMethod).where(PaymentMethod.id == gone.id).values(detached_at=rt.now())
    )
    rt.session.execute(sa.update(Subscription).values(payment_method_id=gone.id))
    rt.session.commit()

    assert add(rt, sub, honey) == Added("added")
    assert newest(rt, table_of(ChargeAttempt).c.payment_method_id) == (usual,)


def test_a_debit_that_takes_days_is_said_before_it_is_asked_for(rt: Runtime, sub: Subscription):
    honey = make.make_addon(rt, 500, variant=make.make_variant(rt))
    who = (rt, sub.customer_id or 0, sub.public_id, AdditionWish(honey.public_id, 1, NEXT))
    assert not quote_now(*who).takes_days
    rt.session.execute(sa.update(PaymentMethod).values(kind="bank"))
    rt.session.commit()
    late = [said for said in sentences(quote_now(*who)) if "may take days" in said]
    assert len(late) == 1
    # Credit pays at once.
    credit(rt, sub, 500)
    assert not quote_now(*who).takes_days


def test_a_form_is_one_purchase_of_one_subscription(rt: Runtime, sub: Subscription):
    honey = make.make_addon(rt, 500, variant=make.make_variant(rt))
    plan = rt.session.get_one(Plan, sub.plan_id)
    own = sub.customer_id or 0
    other = make.make_subscription(rt, plan=plan).public_id
    rt.session.execute(sa.update(Subscription).values(customer_id=own))
    rt.session.commit()

    assert add(rt, sub, honey) == Added("added")
    assert sent_before(rt, own, sub.public_id, "once-1") == Added("added")
    assert sent_before(rt, own + 1, sub.public_id, "once-1") is None
    assert sent_before(rt, own, other, "once-1") is None
    # The same name for another subscription is another purchase, and a form without one is none.
    who = (rt, own, other, AdditionWish(honey.public_id, 1, NEXT))
    assert add_to_boxes(*who, quote_now(*who).quote_hash, "once-1") == Added("added")
    with pytest.raises(QuoteChanged):
        add(rt, sub, honey, once="")
    rt.session.rollback()


def test_pieces_that_are_being_paid_for_are_not_sold_to_others(
    rt: Runtime, sub: Subscription, demo_gateway: DemoGateway
):
    honey = make.make_variant(rt, on_hand=2)
    addon = make.make_addon(rt, 500, variant=honey)
    bring_card(rt, demo_gateway, "3220")
    assert add(rt, sub, addon, 2).outcome == "action"

    stands = free_stock(rt.session, [honey.id], rt.moment())[honey.id]
    rt.session.rollback()
    assert (stands.held, stands.free) == (2, 0)


def test_of_two_payments_that_arrive_together_only_one_takes_the_last_piece(
    rt: Runtime, sub: Subscription, demo_gateway: DemoGateway
):
    honey = make.make_variant(rt, on_hand=2)
    addon = make.make_addon(rt, 500, variant=honey)
    bring_card(rt, demo_gateway, "3220")
    other = make.make_subscription(rt, plan=rt.session.get_one(Plan, sub.plan_id))
    rt.session.execute(
        sa.update(PaymentMethod)
        .where(PaymentMethod.customer_id == other.customer_id)
        .values(token=demo_gateway.bank.token_for("3220"))
    )
    rt.session.commit()
    assert [add(rt, one, addon).outcome for one in (sub, other)] == ["action", "action"]
    adjust_stock(rt, honey.public_id, "loss", -1, "")
    attempt = table_of(ChargeAttempt)
    for reference in rt.session.scalars(
        sa.select(attempt.c.gateway_reference).where(attempt.c.state == "action_required")
    ).all():
        demo_gateway.bank.confirm_charge(reference, True)
    rt.session.execute(
        sa.update(attempt).where(attempt.c.state == "action_required").values(check_at=rt.now())
    )
    rt.session.commit()

    charges.look_up_open(rt)

    assert rt.session.scalars(sa.select(BoxItem.quantity)).all() == [1]
    assert rt.session.scalars(sa.select(Refund.amount_minor)).all() == [500]


def test_pieces_of_two_purchases_that_are_short_together_wait_for_somebody(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    """Two came with the period and one with each of two additions: which two are missing?"""
    plan = make.make_plan(rt, group=make.make_group(rt))
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, on_hand=50)])
    honey = make.make_variant(rt, on_hand=4, price_minor=900)
    addon = make.make_addon(rt, 500, name="Honey", variant=honey)
    key = begin(rt, plan)
    pick = {"addon": addon.public_id, "quantity": 2, "cadence": "once"}
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, [pick]))
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    sub = rt.session.scalars(sa.select(Subscription)).one()
    rt.session.expunge(sub)
    rt.session.rollback()
    for once in ("once-1", "once-2"):
        assert add(rt, sub, addon, once=once) == Added("added")
    adjust_stock(rt, honey.public_id, "loss", -2, "")
    set_rule(rt, honey.public_id, is_counted=True, policy=Policy.DROP, substitute="")
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    close_cycles(rt)

    assert rt.session.scalars(sa.select(Box.problem)).all() == ["short_stock"]
    assert rt.session.scalars(sa.select(CreditNote)).all() == []
