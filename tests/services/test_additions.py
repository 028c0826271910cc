"""Something is put into boxes that are paid for already: paid at once, in there, given back."""

from contextlib import suppress
from datetime import UTC, date, datetime
from itertools import count

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from storefront import charges
from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.addons import Reach
from storefront.domain.changes import ConsentMissing, QuoteChanged
from storefront.domain.errors import DomainError
from storefront.domain.invoices import CreditReason
from storefront.domain.late_changes import LateKind
from storefront.domain.money import Money
from storefront.domain.refunds import Afterwards, Way
from storefront.models import (
    Addon,
    Box,
    BoxCycle,
    BoxItem,
    ChargeAttempt,
    CreditNote,
    Customer,
    CycleGroup,
    Invoice,
    InvoiceLine,
    Plan,
    ProductVariant,
    Refund,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.consents import Given
from storefront.operations.customer_credit import grant_credit
from storefront.operations.stock import StockChange, change_stock
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.additions import (
    Added,
    AdditionWish,
    NothingToAddTo,
    add_to_boxes,
    quote_now,
)
from storefront.services.cancellations import cancel, undo_cancel
from storefront.services.changes_lapsed import expire_changes
from storefront.services.cycles import close_cycles
from storefront.services.gifts import claim, run_gifts
from storefront.services.late_changes import Wish as LateWish
from storefront.services.late_changes import accept_late, ask_late
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.renewals import run_renewals
from storefront.services.skips import skip_box, undo_skip
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.changing import bring_card, go
from tests.support.gifts import code_of, make_gift, subscription_of, wish_for
from tests.support.orders import in_parallel

YES = Given("I agree.", "add-on-2", "192.0.2.1", "UA")
NEXT, REST = Reach.NEXT, Reach.REST


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Paid for three months: boxes of March, April and May."""
    return make.make_subscription(rt, plan=make.make_plan(rt, amount_minor=7500, count=3))


def shown(rt: Runtime, sub: Subscription, addon: Addon, quantity: int = 1, reach: Reach = NEXT):
    wish = AdditionWish(addon.public_id, quantity, reach)
    return quote_now(rt, sub.customer_id or 0, sub.public_id, wish)


def add(
    rt: Runtime,
    sub: Subscription,
    addon: Addon,
    quantity: int = 1,
    reach: Reach = NEXT,
    once: str = "once-1",
) -> Added:
    wish = AdditionWish(addon.public_id, quantity, reach)
    quote = shown(rt, sub, addon, quantity, reach)
    owner = sub.customer_id or 0
    return add_to_boxes(rt, owner, sub.public_id, wish, quote.quote_hash, once, YES)


def totals(rt: Runtime) -> list[tuple[int, str]]:
    rows = rt.session.execute(sa.select(table_of(Invoice)).order_by(table_of(Invoice).c.id)).all()
    rt.session.rollback()
    return [(row.total_minor, str(row.state)) for row in rows]


def lying(rt: Runtime) -> list[tuple[int, int, str]]:
    """Return (number of the box, pieces, origin) of everything in boxes."""
    box, item = table_of(Box), table_of(BoxItem)
    keys = list(rt.session.scalars(sa.select(box.c.id).order_by(box.c.id)))
    rows = rt.session.execute(sa.select(item).order_by(item.c.box_id, item.c.variant_id)).all()
    rt.session.rollback()
    return [(keys.index(row.box_id) + 1, row.quantity, row.origin) for row in rows]


def test_only_the_next_box_brings_it_and_it_is_paid_at_once(
    rt: Runtime, clock: FrozenClock, sub: Subscription
):
    honey = make.make_variant(rt, on_hand=9)
    addon = make.make_addon(rt, 500, name="Honey", variant=honey)

    quote = shown(rt, sub, addon, 2)
    assert (quote.total, quote.due, quote.tax) == (
        Money(1000, "EUR"),
        Money(1000, "EUR"),
        Money(160, "EUR"),
    )
    assert (quote.ships_on, quote.later, quote.asks_consent) == ((date(2027, 3, 18),), None, False)
    assert add(rt, sub, addon, 2) == Added("added")

    assert totals(rt) == [(7500, "paid"), (1000, "paid")]
    assert lying(rt) == [(1, 2, "addon")]
    clock.set(datetime(2027, 6, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    assert totals(rt)[2:] == [(7500, "paid")]
    assert lying(rt) == [(1, 2, "addon")]


def test_each_box_left_and_then_every_payment(rt: Runtime, clock: FrozenClock, sub: Subscription):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))

    quote = shown(rt, sub, addon, 1, REST)
    assert quote.total == Money(1500, "EUR")
    assert quote.later is not None
    assert (quote.later.amount, quote.asks_consent) == (Money(9000, "EUR"), True)
    wish, owner = AdditionWish(addon.public_id, 1, REST), sub.customer_id or 0
    with pytest.raises(ConsentMissing):
        add_to_boxes(rt, owner, sub.public_id, wish, quote.quote_hash, "once-0")
    rt.session.rollback()
    assert add(rt, sub, addon, 1, REST) == Added("added")
    assert lying(rt) == [(1, 1, "addon"), (2, 1, "addon"), (3, 1, "addon")]

    clock.set(datetime(2027, 6, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)

    assert totals(rt) == [(7500, "paid"), (1500, "paid"), (9000, "paid")]
    assert len(lying(rt)) == 6


def test_two_clicks_are_one_purchase(rt: Runtime, sub: Subscription):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    wish, owner = AdditionWish(addon.public_id, 1, NEXT), sub.customer_id or 0
    quote = shown(rt, sub, addon)

    for _click in range(2):
        done = add_to_boxes(rt, owner, sub.public_id, wish, quote.quote_hash, "once-1")
        assert done == Added("added")

    assert totals(rt) == [(7500, "paid"), (500, "paid")]
    # Another form is another purchase.
    assert add(rt, sub, addon, once="once-2") == Added("added")
    assert lying(rt) == [(1, 2, "addon")]


def test_the_last_second_of_the_cut_off_counts(rt: Runtime, clock: FrozenClock, sub: Subscription):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    # The cut-off is 11 March in Berlin.
    clock.set(datetime(2027, 3, 11, 22, 59, 59, tzinfo=UTC))
    assert shown(rt, sub, addon).ships_on == (date(2027, 3, 18),)
    quote = shown(rt, sub, addon)

    clock.set(datetime(2027, 3, 11, 23, 0, 0, tzinfo=UTC))
    assert shown(rt, sub, addon).ships_on[0] > date(2027, 3, 18)
    wish, owner = AdditionWish(addon.public_id, 1, NEXT), sub.customer_id or 0
    with pytest.raises(QuoteChanged):
        add_to_boxes(rt, owner, sub.public_id, wish, quote.quote_hash, "once-1")
    rt.session.rollback()
    assert totals(rt) == [(7500, "paid")]


def last_attempt(rt: Runtime) -> tuple[int, str]:
    table = table_of(ChargeAttempt)
    row = rt.session.execute(sa.select(table).order_by(table.c.id.desc()).limit(1)).one()
    rt.session.rollback()
    return row.id, row.gateway_reference


def put_by(rt: Runtime, demo_gateway: DemoGateway, sub: Subscription, addon: Addon, card: str):
    bring_card(rt, demo_gateway, card)
    return add(rt, sub, addon)


def test_declined_nothing_is_in_the_box_and_nothing_is_owed(
    rt: Runtime, demo_gateway: DemoGateway, sub: Subscription
):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))

    assert put_by(rt, demo_gateway, sub, addon, "0002").outcome == "declined"

    assert (totals(rt), lying(rt)) == ([(7500, "paid"), (500, "discarded")], [])
    bring_card(rt, demo_gateway, "4242")
    assert add(rt, sub, addon, once="once-2") == Added("added")


def test_the_bank_asks_first_and_the_box_waits_for_it(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock, sub: Subscription
):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))

    done = put_by(rt, demo_gateway, sub, addon, "3220")
    assert (done.outcome, bool(done.url), lying(rt)) == ("action", True, [])
    with pytest.raises(NothingToAddTo) as refused:
        shown(rt, sub, addon)
    assert refused.value.params["reason"] == "paying"
    rt.session.rollback()
    confirmed_late(rt, demo_gateway)

    assert (totals(rt)[1], lying(rt)) == ((500, "paid"), [(1, 1, "addon")])


def test_never_confirmed_it_is_given_up(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock, sub: Subscription
):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    put_by(rt, demo_gateway, sub, addon, "3220")
    clock.advance(hours=2)

    assert expire_changes(rt) == 1

    assert (totals(rt)[1], lying(rt)) == ((500, "discarded"), [])
    bring_card(rt, demo_gateway, "4242")
    assert add(rt, sub, addon, once="once-2") == Added("added")


def adjust(rt: Runtime, honey: ProductVariant) -> None:
    """Note that the one piece was lost."""
    change_stock(rt.session, [StockChange(honey.id, "loss", -1)], rt.now(), "test")
    rt.session.commit()


def confirmed_late(rt: Runtime, demo_gateway: DemoGateway) -> None:
    key, reference = last_attempt(rt)
    demo_gateway.bank.confirm_charge(reference, True)
    charges.look_up(rt, key)


def goes_back(rt: Runtime) -> list[int]:
    found = rt.session.scalars(sa.select(Refund.amount_minor).order_by(Refund.id)).all()
    rt.session.rollback()
    return list(found)


def test_packed_meanwhile_the_money_goes_back(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock, sub: Subscription
):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    save_recipe(rt, plan_of(rt, sub), None, "", [Ingredient(make.make_variant(rt).public_id, 1)])
    clock.set(datetime(2027, 3, 11, 22, 59, 59, tzinfo=UTC))
    put_by(rt, demo_gateway, sub, addon, "3220")
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    close_cycles(rt)

    confirmed_late(rt, demo_gateway)

    assert (totals(rt)[1], goes_back(rt)) == ((500, "discarded"), [500])
    assert lying(rt) == [(1, 1, "recipe")]


def test_the_last_piece_is_sold_once(rt: Runtime, demo_gateway: DemoGateway, sub: Subscription):
    honey = make.make_variant(rt, on_hand=1)
    addon = make.make_addon(rt, 500, variant=honey)
    put_by(rt, demo_gateway, sub, addon, "3220")
    first = last_attempt(rt)
    other = make.make_subscription(rt, plan=rt.session.get_one(Plan, sub.plan_id))

    with pytest.raises(NothingToAddTo) as refused:
        shown(rt, other, addon)

    rt.session.rollback()
    assert refused.value.params["reason"] == "stock"
    # What gets lost while the bank asks is not there any more: the money goes back.
    adjust(rt, honey)
    key, reference = first
    demo_gateway.bank.confirm_charge(reference, True)
    charges.look_up(rt, key)
    assert (lying(rt), goes_back(rt)) == ([], [500])


def test_credit_pays_first(rt: Runtime, sub: Subscription):
    grant_credit(rt.session, sub.customer_id or 0, Money(300, "EUR"), "goodwill", "", rt.moment())
    rt.session.commit()
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))

    assert shown(rt, sub, addon).due == Money(200, "EUR")
    assert add(rt, sub, addon) == Added("added")

    paid = rt.session.execute(
        sa.select(Invoice.applied_minor, Invoice.paid_minor).order_by(Invoice.id.desc()).limit(1)
    ).one()
    rt.session.rollback()
    assert tuple(paid) == (300, 200)


def test_a_box_that_is_not_sent_gives_back_what_was_put_in(rt: Runtime, sub: Subscription):
    """Staff stop the subscription: the invoice of the boxes, and the additions, go back."""
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    add(rt, sub, addon, 1, REST)
    cancel(rt, sub.customer_id or 0, sub.public_id)
    staff = make_staff(rt)
    invoice = rt.session.scalars(sa.select(Invoice.public_id).order_by(Invoice.id)).first()
    rt.session.rollback()
    line = next(iter(offer(rt, str(invoice)).lines)).head.id
    wish = Wish({line: 7500}, Way.CARD, CreditReason.REFUND, Afterwards.STOP_NOW)
    quote = quote_refund(rt, str(invoice), wish)
    assert quote.beside == Money(1500, "EUR")

    refund(rt, staff, str(invoice), wish, quote.quote_hash)

    assert goes_back(rt) == [7500, 1500]


def test_a_gift_is_added_to_by_who_gets_it_with_their_own_card(rt: Runtime):
    plan = make.make_plan(rt, amount_minor=7500, count=3)
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    home = {"name": "Ada", "street": "Hof 1", "postcode": "07743", "city": "Jena", "country": "DE"}
    claim(rt, code_of(rt, gift), "ada@example.org", home)
    given = subscription_of(rt, gift)
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    with pytest.raises(NothingToAddTo) as refused:
        shown(rt, given, addon)
    rt.session.rollback()
    assert refused.value.params["reason"] == "no_card"
    ada = rt.session.get_one(Customer, given.customer_id)
    make.make_method(rt, ada)

    # Nothing goes on after a gift.
    assert shown(rt, given, addon, 1, REST).later is None
    assert add(rt, given, addon, 1, REST) == Added("added")

    payer = rt.session.scalars(sa.select(Invoice.payer_id).order_by(Invoice.id.desc())).first()
    rt.session.rollback()
    assert (payer, len(lying(rt))) == (given.customer_id, 3)


def test_a_heavier_box_costs_the_delivery_more(rt: Runtime, sub: Subscription):
    """Own tax rate, and the next band of weight."""
    make.make_zone(rt, "*", {0: 0, 500: 300})
    honey = make.make_variant(rt, weight_grams=700)
    addon = make.make_addon(rt, 500, variant=honey, tax_class="reduced")

    quote = shown(rt, sub, addon, 1, REST)

    assert (quote.delivery, quote.total) == (Money(900, "EUR"), Money(2400, "EUR"))
    assert add(rt, sub, addon, 1, REST) == Added("added")
    lines = rt.session.execute(
        sa.select(InvoiceLine.kind, InvoiceLine.gross_minor, InvoiceLine.tax_rate_bp)
        .where(InvoiceLine.kind.in_(["addon", "shipping"]))
        .order_by(InvoiceLine.id)
    ).all()
    rt.session.rollback()
    assert [tuple(line) for line in lines] == [("addon", 1500, 700), ("shipping", 900, 1900)]


@pytest.mark.parametrize("is_same_form", [True, False])
def test_at_the_same_instant_the_last_piece_is_sold_once(
    app: Flask, rt: Runtime, sub: Subscription, is_same_form: bool
):
    """One form clicked four times at once, or four subscribers who see the same last piece."""
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt, on_hand=1))
    plan = rt.session.get_one(Plan, sub.plan_id)
    others = [] if is_same_form else [make.make_subscription(rt, plan=plan) for _ in range(3)]
    subs = [sub, *others]
    seen = [shown(rt, one, addon).quote_hash for one in subs]
    who = [(one.customer_id or 0, one.public_id) for one in subs]
    wish = AdditionWish(addon.public_id, 1, NEXT)
    rt.session.rollback()

    def click(shop: Runtime, number: int) -> str:
        at = 0 if is_same_form else number
        try:
            return add_to_boxes(shop, *who[at], wish, seen[at], f"once-{at}").outcome
        except NothingToAddTo as refused:
            return str(refused.params["reason"])
        except QuoteChanged:
            return "changed"

    said = in_parallel(app, 4, click)

    assert said.count("added") >= 1
    assert set(said) <= {"added", "waiting"} if is_same_form else said.count("added") == 1
    assert len(lying(rt)) == 1
    assert sum(state == "paid" for _total, state in totals(rt)) == len(subs) + 1


@pytest.fixture
def disarmed():
    yield
    arm("")


@pytest.mark.usefixtures("disarmed")
@pytest.mark.parametrize("point", ["addition.before_commit", "addition.after_sent"])
def test_after_a_crash_it_is_paid_and_in_the_box_or_neither(
    rt: Runtime, clock: FrozenClock, sub: Subscription, point: str
):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    quote, wish = shown(rt, sub, addon), AdditionWish(addon.public_id, 1, NEXT)
    who = (rt, sub.customer_id or 0, sub.public_id, wish, quote.quote_hash, "once-1")
    arm(f"{point}:raise")
    with pytest.raises(FailpointReached):
        add_to_boxes(*who)
    rt.session.rollback()
    arm("")
    is_written = point == "addition.after_sent"
    assert (len(totals(rt)), lying(rt)) == (1 + is_written, [])

    # The click after it, and what looks for answers that never came.
    again = add_to_boxes(*who)
    assert again.outcome == ("waiting" if is_written else "added")
    clock.advance(minutes=10)
    charges.look_up_open(rt)

    assert (totals(rt)[1:], lying(rt)) == ([(500, "paid")], [(1, 1, "addon")])


ACTS = st.lists(
    st.lists(
        st.sampled_from(
            [
                "next",
                "next",
                "rest",
                "asks",
                "confirm",
                "refused",
                "skip",
                "unskip",
                "cancel",
                "keep",
            ]
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=5,
    max_size=5,
)


def test_every_piece_that_is_paid_lies_in_a_box_whatever_is_done_in_which_order(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, sub: Subscription
):
    honey = make.make_variant(rt, on_hand=500)
    addon = make.make_addon(rt, 500, name="Honey", variant=honey)
    save_recipe(rt, plan_of(rt, sub), None, "", [Ingredient(make.make_variant(rt).public_id, 1)])
    names = (f"once-{number}" for number in count())

    @settings(
        max_examples=3, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
    )
    @example([["rest"], ["asks", "skip"], ["confirm", "next"], ["cancel"], ["keep", "next"]])
    @given(ACTS)
    def holds(acts: list[list[str]]) -> None:
        """Time only goes on, nine days from one list of acts to the next."""
        for todo in acts:
            for act in todo:
                with suppress(DomainError, StopIteration):
                    do(rt, demo_gateway, sub, addon, act, next(names))
                rt.session.rollback()
            clock.advance(days=9)
            run_renewals(rt)
            close_cycles(rt)
            found = {key: refs for key, refs in broken(rt.session).items() if refs}
            assert (found, *pieces(rt, honey)) == ({}, *pieces(rt, honey)[:1] * 2)

    holds()
    assert pieces(rt, honey)[0] > 5


def plan_of(rt: Runtime, sub: Subscription) -> str:
    found = rt.session.get_one(Plan, sub.plan_id).public_id
    rt.session.rollback()
    return found


def pieces(rt: Runtime, honey: ProductVariant) -> tuple[int, int]:
    """Return how many pieces were paid, and how many lie in boxes."""
    line, item = table_of(InvoiceLine), table_of(BoxItem)
    paid = rt.session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(line.c.quantity), 0))
        .join(Invoice, Invoice.id == line.c.invoice_id)
        .where(line.c.kind == "addon", Invoice.state == "paid")
    )
    there = rt.session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(item.c.quantity), 0)).where(
            item.c.variant_id == honey.id
        )
    )
    rt.session.rollback()
    return int(paid or 0), int(there or 0)


def do(
    rt: Runtime, bank: DemoGateway, sub: Subscription, addon: Addon, act: str, once: str
) -> None:
    owner, ref = sub.customer_id or 0, sub.public_id
    match act:
        case "next" | "rest":
            bring_card(rt, bank, "4242")
            add(rt, sub, addon, 1, Reach(act), once)
        case "asks" | "refused":
            bring_card(rt, bank, "3220" if act == "asks" else "0002")
            add(rt, sub, addon, 2, NEXT, once)
            bring_card(rt, bank, "4242")
        case "confirm":
            confirmed_late(rt, bank)
        case "cancel":
            cancel(rt, owner, ref)
        case "keep":
            undo_cancel(rt, owner, ref)
        case _:
            cycle = next(
                each
                for each in rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.ship_from))
                if each.cutoff_on >= rt.today()
            ).public_id
            rt.session.rollback()
            (skip_box if act == "skip" else undo_skip)(rt, owner, ref, cycle)


def test_a_box_that_is_kept_back_gives_it_back_as_well(
    rt: Runtime, clock: FrozenClock, sub: Subscription
):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    add(rt, sub, addon)
    cycle = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.ship_from)).first()
    assert cycle is not None
    ref = cycle.public_id
    clock.set(datetime(2027, 3, 12, 9, 0, tzinfo=UTC))
    late = LateWish(LateKind.KEEP_BACK)
    asked = ask_late(rt, sub.customer_id or 0, sub.public_id, ref, late)

    accept_late(rt, make_staff(rt), asked)

    # What was added, to the card; the box itself, as credit.
    assert goes_back(rt) == [500]
    notes = rt.session.execute(
        sa.select(CreditNote.total_minor, CreditNote.to).order_by(CreditNote.id)
    ).all()
    rt.session.rollback()
    assert sorted(tuple(note) for note in notes) == [(500, "card"), (2500, "credit")]


def test_a_change_of_plan_to_fewer_boxes_keeps_every_piece(
    rt: Runtime, clock: FrozenClock, sub: Subscription
):
    addon = make.make_addon(rt, 500, variant=make.make_variant(rt))
    add(rt, sub, addon, 1, REST)
    group = rt.session.scalars(sa.select(CycleGroup)).first()
    monthly = make.make_plan(rt, amount_minor=9900, group=group)

    assert go(rt, sub, monthly)[1].outcome == "applied"

    live = rt.session.scalars(sa.select(Box.id).where(Box.state != "canceled")).all()
    rt.session.rollback()
    assert (len(live), [number for _box, number, _origin in lying(rt)]) == (1, [3])
    # Stopped now, all three of them go back.
    invoice = rt.session.scalars(sa.select(Invoice.public_id).order_by(Invoice.id.desc())).first()
    rt.session.rollback()
    line = offer(rt, str(invoice)).lines[0]
    wish = Wish({line.head.id: line.left}, Way.CREDIT, CreditReason.REFUND, Afterwards.STOP_NOW)
    quote = quote_refund(rt, str(invoice), wish)
    assert quote.beside == Money(1500, "EUR")
    refund(rt, make_staff(rt), str(invoice), wish, quote.quote_hash)
