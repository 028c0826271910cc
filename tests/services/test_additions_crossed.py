"""What is put into paid boxes meets shortages, changes, disputes and wrong amounts: paid once."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront import charges
from storefront.domain.addons import Cadence, Reach
from storefront.domain.changes import NotChangeable
from storefront.domain.charging import AnswerStatus
from storefront.domain.gateways import ChargeAnswer
from storefront.domain.invoices import CreditReason
from storefront.domain.late_changes import LateKind
from storefront.domain.mismatches import Choice, ChoiceNotOffered
from storefront.domain.money import Money
from storefront.domain.refunds import Afterwards, Way
from storefront.domain.shortages import Policy
from storefront.models import (
    Addon,
    Box,
    BoxCycle,
    ChargeAttempt,
    CreditNote,
    CycleGroup,
    Dispute,
    Invoice,
    Plan,
    ProductVariant,
    Subscription,
    SubscriptionAddon,
)
from storefront.operations.added import move_additions
from storefront.operations.audit import Who
from storefront.operations.results import Result
from storefront.queries.invariants import broken
from storefront.queries.mismatches import mismatch
from storefront.runtime import Runtime
from storefront.services import disputes
from storefront.services.additions import NothingToAddTo
from storefront.services.addons import AddonWish, NotAddable, quote_addon
from storefront.services.cycles import close_cycles
from storefront.services.late_changes import Wish as LateWish
from storefront.services.late_changes import accept_late, ask_late
from storefront.services.mismatches import decide
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.refunding import RefundQuote, Wish, offer, quote_refund, refund
from storefront.services.stock import adjust_stock, set_rule
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.services.test_additions import add, confirmed_late, goes_back, lying, shown, totals
from tests.support.admin import make_staff
from tests.support.changing import bring_card, go
from tests.support.hooks import send

NEXT, REST = Reach.NEXT, Reach.REST
LOCKED = datetime(2027, 3, 16, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Paid for three months: boxes of March, April and May."""
    plan = make.make_plan(rt, amount_minor=7500, count=3)
    tea = make.make_variant(rt, on_hand=50)
    save_recipe(rt, plan.public_id, None, "", [Ingredient(tea.public_id, 1)])
    return make.make_subscription(rt, plan=plan)


@pytest.fixture
def honey(rt: Runtime) -> ProductVariant:
    return make.make_variant(rt, sku="HONEY", on_hand=9, price_minor=900)


@pytest.fixture
def addon(rt: Runtime, honey: ProductVariant) -> Addon:
    return make.make_addon(rt, 500, name="Honey", variant=honey)


def scalars(rt: Runtime, column: Any) -> list[Any]:
    rt.session.rollback()
    found = list(rt.session.scalars(sa.select(column).order_by(column.class_.id)))
    rt.session.rollback()
    return found


def wish_for(rt: Runtime, invoice: str, reason: CreditReason, then: Afterwards) -> Wish:
    """Return a wish for all that is left of an invoice."""
    left = {line.head.id: line.left for line in offer(rt, invoice).lines if line.left}
    return Wish(left, Way.CREDIT, reason, then)


def stop_now(rt: Runtime, who: Who) -> RefundQuote:
    """Refund what is left of the first invoice and stop; returns what was shown."""
    first = scalars(rt, Invoice.public_id)[0]
    wish = wish_for(rt, first, CreditReason.REFUND, Afterwards.STOP_NOW)
    quote = quote_refund(rt, first, wish)
    refund(rt, who, first, wish, quote.quote_hash)
    return quote


@pytest.mark.parametrize(("reach", "later"), [(NEXT, 0), (REST, 1000)])
def test_a_box_that_lacked_it_and_is_kept_back_gives_every_share_back_once(
    rt: Runtime,
    clock: FrozenClock,
    sub: Subscription,
    honey: ProductVariant,
    addon: Addon,
    reach: Reach,
    later: int,
):
    add(rt, sub, addon, 1, reach)
    adjust_stock(rt, honey.public_id, "loss", -9, "")
    set_rule(rt, honey.public_id, is_counted=True, policy=Policy.DROP, substitute="")
    clock.set(LOCKED)
    close_cycles(rt)
    assert scalars(rt, CreditNote.total_minor) == [500]
    cycle = scalars(rt, BoxCycle.public_id)[0]
    asked = ask_late(rt, sub.customer_id or 0, sub.public_id, cycle, LateWish(LateKind.KEEP_BACK))

    who = make_staff(rt)
    accept_late(rt, who, asked)

    # The box is 25.00, its honey 5.00, and the honey went back when it was missing.
    assert sum(scalars(rt, CreditNote.total_minor)) == 3000
    assert stop_now(rt, who).beside == Money(later, "EUR")
    assert sum(scalars(rt, CreditNote.total_minor)) == 7500 + 500 + later


def test_what_is_being_paid_for_boxes_and_for_later_cannot_be_had_twice(
    rt: Runtime, demo_gateway: DemoGateway, sub: Subscription, addon: Addon
):
    bring_card(rt, demo_gateway, "3220")
    assert add(rt, sub, addon, 1, REST).outcome == "action"
    wish = AddonWish(addon.public_id, 1, Cadence.EVERY)
    with pytest.raises(NotAddable) as refused:
        quote_addon(rt, sub.customer_id or 0, sub.public_id, wish)
    assert refused.value.params["reason"] == "paying"
    # It runs all the same, whoever began it: the money goes back.
    rt.session.add(
        SubscriptionAddon(
            public_id="sad_1",
            subscription_id=sub.id,
            addon_id=addon.id,
            quantity=1,
            unit_minor=500,
            cadence="every",
            created_at=rt.now(),
        )
    )
    rt.session.commit()

    confirmed_late(rt, demo_gateway)

    assert (totals(rt)[1], goes_back(rt), lying(rt)) == ((500 * 3, "discarded"), [1500], [])
    assert scalars(rt, SubscriptionAddon.public_id) == ["sad_1"]


def monthly(rt: Runtime) -> Plan:
    group = rt.session.scalars(sa.select(CycleGroup)).first()
    return make.make_plan(rt, amount_minor=9900, group=group)


def test_while_something_is_being_paid_for_boxes_the_plan_stays_and_the_other_way_round(
    rt: Runtime, demo_gateway: DemoGateway, sub: Subscription, addon: Addon
):
    bring_card(rt, demo_gateway, "3220")
    add(rt, sub, addon, 1, REST)
    plan = monthly(rt)
    with pytest.raises(NotChangeable) as refused:
        go(rt, sub, plan)
    assert refused.value.params["reason"] == "paying"
    rt.session.rollback()
    # What is taken away takes nothing along that is not paid.
    boxes = scalars(rt, Box.id)
    move_additions(rt.session, boxes[1:], boxes[:1])
    rt.session.commit()
    confirmed_late(rt, demo_gateway)
    assert lying(rt) == [(1, 1, "addon"), (2, 1, "addon"), (3, 1, "addon")]

    assert go(rt, sub, plan)[1].outcome == "action"
    with pytest.raises(NothingToAddTo) as too:
        shown(rt, sub, addon)
    assert too.value.params["reason"] == "changing"


@pytest.fixture
def disputed(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, sub: Subscription, addon: Addon
) -> str:
    """Honey in three boxes; the owner of the card disputes its payment. Returns our name of it."""
    add(rt, sub, addon, 1, REST)
    payment = scalars(rt, ChargeAttempt.public_id)[-1]
    demo_gateway.bank.dispute(payment)
    assert send(client, rt, about="dispute", type="dispute", reference=payment).status_code == 200
    return str(scalars(rt, Dispute.public_id)[0])


def decided(rt: Runtime, client: FlaskClient, bank: DemoGateway, *, won: bool) -> None:
    bank.bank.decide_dispute(scalars(rt, Dispute.gateway_reference)[0], won)
    payment = scalars(rt, ChargeAttempt.public_id)[-1]
    for _twice in range(2):
        sent = send(client, rt, about="dispute", type="dispute", reference=payment)
        assert sent.status_code == 200


@pytest.mark.parametrize("won", [True, False])
@pytest.mark.usefixtures("disputed")
def test_what_a_dispute_kept_goes_back_once_when_it_is_won(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, won: bool
):
    assert stop_now(rt, make_staff(rt)).beside == Money(0, "EUR")
    assert broken(rt.session) == {}
    assert goes_back(rt) == []
    # Won, and nothing gone back: that would be seen.
    rt.session.execute(sa.update(Dispute).values(state="won"))
    assert "F24" in broken(rt.session)
    rt.session.rollback()

    decided(rt, client, demo_gateway, won=won)

    assert goes_back(rt) == ([1500] if won else [])


def test_a_lost_dispute_takes_it_out_of_boxes_that_go_out(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, disputed: str
):
    decided(rt, client, demo_gateway, won=False)
    assert len(lying(rt)) == 3

    disputes.end(rt, make_staff(rt), disputed)

    assert lying(rt) == []
    assert [state.value for state in scalars(rt, Box.state)] == ["planned"] * 3


@pytest.mark.parametrize("reason", [CreditReason.REFUND, CreditReason.GOODWILL])
def test_refunded_as_a_whole_it_is_taken_out_unless_it_is_goodwill(
    rt: Runtime, sub: Subscription, addon: Addon, reason: CreditReason
):
    add(rt, sub, addon, 1, NEXT, "first")
    add(rt, sub, addon, 1, REST)
    last, taken = scalars(rt, Invoice.public_id)[-1], reason is CreditReason.REFUND
    wish = wish_for(rt, last, reason, Afterwards.KEEP)
    quote = quote_refund(rt, last, wish)
    assert quote.emptied == (3 if taken else 0)

    refund(rt, make_staff(rt), last, wish, quote.quote_hash)

    whole = [(1, 2, "addon"), (2, 1, "addon"), (3, 1, "addon")]
    assert lying(rt) == ([(1, 1, "addon")] if taken else whole)


def test_a_wrong_amount_puts_nothing_into_a_box_that_was_packed_meanwhile(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, sub: Subscription, addon: Addon
):
    bring_card(rt, demo_gateway, "3220")
    add(rt, sub, addon)
    payment, who = scalars(rt, ChargeAttempt.public_id)[-1], make_staff(rt)
    answer = ChargeAnswer(AnswerStatus.SUCCEEDED, "ch_7", amount=Money(400, "EUR"))
    charges.record(rt, [Result(payment, answer)])
    clock.set(LOCKED)
    close_cycles(rt)

    with pytest.raises(ChoiceNotOffered):
        decide(rt, who, payment, Choice.ACCEPT, "400 EUR")

    rt.session.rollback()
    found = mismatch(rt.session, payment)
    assert found is not None
    assert found.offered == (Choice.REFUND_ALL,)
    assert totals(rt)[1] == (500, "discarded")
    decide(rt, who, payment, Choice.REFUND_ALL, "400 EUR")
    assert (goes_back(rt), lying(rt)) == ([400], [(1, 1, "recipe")])
