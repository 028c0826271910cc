"""Things sold beside a box: priced, billed, packed, taken off and given back."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.addons import Cadence
from storefront.domain.boxes import BoxState
from storefront.domain.changes import ConsentMissing, QuoteChanged
from storefront.models import (
    Addon,
    Box,
    BoxCycle,
    BoxItem,
    Consent,
    Invoice,
    InvoiceLine,
    Plan,
    Subscription,
    SubscriptionAddon,
)
from storefront.models.base import table_of
from storefront.operations.consents import Given
from storefront.queries import account
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.addons import AddonWish, NotAddable, quote_addon, save_addon
from storefront.services.baskets import BoxChoice, change_box
from storefront.services.cancellations import cancel
from storefront.services.checkout import Step
from storefront.services.cycles import close_cycles
from storefront.services.finishing import Outcome
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.renewals import run_renewals
from storefront.services.skips import skip_box
from storefront.services.swaps import offer_swaps, take_instead
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, choose, order, paid, quote_hash

RENEWAL = datetime(2027, 4, 12, 9, 0, tzinfo=UTC)
LATER = datetime(2027, 5, 12, 9, 0, tzinfo=UTC)
YES = Given("I agree.", "add-on-2", "192.0.2.1", "UA")
ONCE, EVERY = Cadence.ONCE, Cadence.EVERY


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt)


def put(rt: Runtime, sub: Subscription, addon: Addon, quantity: int, cadence: Cadence):
    wish = AddonWish(addon.public_id, quantity, cadence)
    owner = sub.customer_id or 0
    shown = quote_addon(rt, owner, sub.public_id, wish)
    return save_addon(rt, owner, sub.public_id, wish, shown.quote_hash, YES)


def place_of(rt: Runtime, model: type) -> dict[int, int]:
    """Return how many-th each row is, counted from 1, by key."""
    keys = rt.session.scalars(sa.select(model.id).order_by(model.id)).all()
    rt.session.rollback()
    return {key: place for place, key in enumerate(keys, start=1)}


def second_box(rt: Runtime) -> Box:
    return rt.session.scalars(sa.select(Box).order_by(Box.id).offset(1)).one()


def lines(rt: Runtime) -> list[tuple[int, str, int, int, int]]:
    """Return (invoice, text, quantity, amount, tax rate) of every line beside a plan."""
    line = table_of(InvoiceLine)
    rows = rt.session.execute(
        sa.select(line).where(line.c.kind == "addon").order_by(line.c.invoice_id, line.c.id)
    ).all()
    rt.session.rollback()
    at = place_of(rt, Invoice)
    return [(at[r.invoice_id], r.text, r.quantity, r.amount_minor, r.tax_rate_bp) for r in rows]


def totals(rt: Runtime) -> list[int]:
    found = list(rt.session.scalars(sa.select(Invoice.total_minor).order_by(Invoice.id)))
    rt.session.rollback()
    return found


def packed(rt: Runtime) -> list[tuple[int, int, int, str]]:
    """Return (box, variant, pieces, origin) of everything in boxes."""
    item = table_of(BoxItem)
    rows = rt.session.execute(sa.select(item).order_by(item.c.box_id, item.c.variant_id)).all()
    rt.session.rollback()
    at = place_of(rt, Box)
    return [(at[row.box_id], row.variant_id, row.quantity, row.origin) for row in rows]


def renew(rt: Runtime, clock: FrozenClock, *days: datetime) -> None:
    for day in days:
        clock.set(day)
        run_renewals(rt)


def test_with_every_box_it_is_charged_each_time_and_once_only_once(
    rt: Runtime, clock: FrozenClock, plan: Plan
):
    sub = make.make_subscription(rt, plan=plan)
    tin, strainer = make.make_addon(rt, 900), make.make_addon(rt, 1200, name="Strainer")
    put(rt, sub, tin, 2, EVERY)
    put(rt, sub, strainer, 1, ONCE)

    renew(rt, clock, RENEWAL, LATER)

    assert totals(rt) == [2600, 2600 + 1800 + 1200, 2600 + 1800]
    assert lines(rt) == [
        (2, "Tin", 2, 1800, 1900),
        (2, "Strainer", 1, 1200, 1900),
        (3, "Tin", 2, 1800, 1900),
    ]


def test_what_the_page_says_before_saving_is_what_is_charged(
    rt: Runtime, clock: FrozenClock, plan: Plan
):
    sub = make.make_subscription(rt, plan=plan)
    tin = make.make_addon(rt, 900)

    shown = put(rt, sub, tin, 1, ONCE)
    view = account.subscription(
        rt.session, sub.customer_id or 0, sub.public_id, rt.moment(), rt.shop.taxes
    )
    rt.session.rollback()
    renew(rt, clock, RENEWAL)

    assert (shown.charge_on, shown.before.minor) == (date(2027, 4, 12), 2600)
    assert (shown.amount.minor, shown.later.minor) == (3500, 2600)
    assert view is not None
    assert view.next_amount == shown.amount
    assert [box.amount.minor for box in view.boxes if box.amount][:2] == [3500, 2600]
    assert totals(rt) == [2600, 3500]


def test_a_skip_puts_them_off_and_a_swap_costs_nothing(rt: Runtime, clock: FrozenClock, plan: Plan):
    tea, mint, honey = (make.make_variant(rt, price_minor=800) for _number in range(3))
    save_recipe(rt, plan.public_id, None, "", [Ingredient(tea.public_id, 1)])
    offer_swaps(rt, plan.public_id, [mint.public_id])
    sub = make.make_subscription(rt, plan=plan)
    put(rt, sub, make.make_addon(rt, 500, name="Honey", variant=honey), 1, EVERY)
    put(rt, sub, make.make_addon(rt, 1200, name="Strainer"), 1, ONCE)
    march, april = rt.session.scalars(
        sa.select(BoxCycle.public_id).order_by(BoxCycle.ship_from).limit(2)
    )
    rt.session.rollback()
    who, standing = (rt, sub.customer_id or 0, sub.public_id), {"is_standing": True}
    take_instead(*who, march, tea.public_id, mint.public_id, **standing)
    skip_box(*who, april)

    renew(rt, clock, RENEWAL, LATER, datetime(2027, 6, 12, 9, 0, tzinfo=UTC))

    # Nothing in April; the one that comes once is paid and sent with May's box.
    assert totals(rt) == [2600, 2600 + 500 + 1200, 2600 + 500]
    assert [line[:4] for line in lines(rt)] == [
        (2, "Honey", 1, 500),
        (2, "Strainer", 1, 1200),
        (3, "Honey", 1, 500),
    ]
    clock.set(datetime(2027, 7, 1, 9, 0, tzinfo=UTC))
    close_cycles(rt)
    assert [row[:3] for row in packed(rt)] == [
        (1, mint.id, 1),
        (2, mint.id, 1),
        (2, honey.id, 1),
        (3, mint.id, 1),
        (3, honey.id, 1),
    ]


def test_its_own_tax_class_is_charged(rt: Runtime, clock: FrozenClock, plan: Plan):
    sub = make.make_subscription(rt, plan=plan)
    put(rt, sub, make.make_addon(rt, 500, name="Biscuits", tax_class="reduced"), 1, ONCE)

    renew(rt, clock, RENEWAL)

    assert lines(rt) == [(2, "Biscuits", 1, 500, 700)]


def test_the_pieces_lie_in_the_box_they_were_paid_with(rt: Runtime, clock: FrozenClock, plan: Plan):
    tea, honey = make.make_variant(rt, on_hand=9), make.make_variant(rt, on_hand=9)
    save_recipe(rt, plan.public_id, None, "", [Ingredient(tea.public_id, 1)])
    sub = make.make_subscription(rt, plan=plan)
    put(rt, sub, make.make_addon(rt, 500, variant=honey), 2, ONCE)
    put(rt, sub, make.make_addon(rt, 900, name="More tea", variant=tea), 1, EVERY)
    renew(rt, clock, RENEWAL)
    assert packed(rt) == [(2, tea.id, 1, "addon"), (2, honey.id, 2, "addon")]

    clock.set(datetime(2027, 5, 1, 9, 0, tzinfo=UTC))
    close_cycles(rt)

    assert packed(rt) == [
        (1, tea.id, 1, "recipe"),
        (2, tea.id, 2, "addon"),
        (2, honey.id, 2, "addon"),
    ]
    box = second_box(rt)
    assert (box.state, box.packing["contents"]) == (
        BoxState.LOCKED,
        [[tea.sku, 2], [honey.sku, 2]],
    )
    rt.session.refresh(rt.session.merge(honey))
    assert rt.session.get_one(type(honey), honey.id).on_hand == 7
    assert rt.session.get_one(type(tea), tea.id).on_hand == 6
    rt.session.rollback()


def test_without_stock_the_box_is_held_back(rt: Runtime, clock: FrozenClock, plan: Plan):
    tea, honey = make.make_variant(rt), make.make_variant(rt, on_hand=1)
    save_recipe(rt, plan.public_id, None, "", [Ingredient(tea.public_id, 1)])
    sub = make.make_subscription(rt, plan=plan)
    put(rt, sub, make.make_addon(rt, 500, variant=honey), 2, ONCE)
    renew(rt, clock, RENEWAL)

    clock.set(datetime(2027, 5, 1, 9, 0, tzinfo=UTC))
    close_cycles(rt)

    assert second_box(rt).problem == "short_stock"
    rt.session.rollback()


def test_taken_off_after_it_was_paid_it_still_lies_in_that_box(
    rt: Runtime, clock: FrozenClock, plan: Plan
):
    sub = make.make_subscription(rt, plan=plan)
    honey = make.make_variant(rt)
    addon = make.make_addon(rt, 500, variant=honey)
    put(rt, sub, addon, 1, EVERY)
    renew(rt, clock, RENEWAL)

    put(rt, sub, addon, 0, EVERY)
    renew(rt, clock, LATER)

    assert packed(rt) == [(2, honey.id, 1, "addon")]
    assert totals(rt) == [2600, 3100, 2600]


def test_another_quantity_keeps_the_price_it_was_added_at(
    rt: Runtime, clock: FrozenClock, plan: Plan
):
    sub = make.make_subscription(rt, plan=plan)
    addon = make.make_addon(rt, 500)
    put(rt, sub, addon, 1, EVERY)
    rt.session.execute(sa.update(table_of(Addon)).values(amounts={"EUR": 800}))
    rt.session.commit()

    put(rt, sub, addon, 3, EVERY)
    renew(rt, clock, RENEWAL)

    assert totals(rt) == [2600, 2600 + 1500]


def test_a_period_of_several_boxes_pays_for_each_of_them(rt: Runtime, clock: FrozenClock):
    plan = make.make_plan(rt, amount_minor=7500, count=3)
    sub = make.make_subscription(rt, plan=plan)
    honey, tin = make.make_variant(rt), make.make_variant(rt)
    put(rt, sub, make.make_addon(rt, 500, variant=honey), 2, EVERY)
    put(rt, sub, make.make_addon(rt, 900, name="Tin", variant=tin), 1, ONCE)
    day = rt.session.get_one(Subscription, sub.id).anchor_on
    rt.session.rollback()

    renew(rt, clock, datetime(day.year, day.month, day.day, 9, 0, tzinfo=UTC))

    assert totals(rt) == [7500, 7500 + 3000 + 900]
    first = packed(rt)[0][0]
    assert packed(rt) == [
        (first, honey.id, 2, "addon"),
        (first, tin.id, 1, "addon"),
        (first + 1, honey.id, 2, "addon"),
        (first + 2, honey.id, 2, "addon"),
    ]


def test_an_order_pays_for_them_and_the_first_box_brings_them(
    rt: Runtime, clock: FrozenClock, plan: Plan, demo_gateway: DemoGateway
):
    honey = make.make_variant(rt)
    tin, biscuits = make.make_addon(rt, 900), make.make_addon(rt, 500, variant=honey)
    key = begin(rt, plan)
    change_box(
        rt,
        key,
        BoxChoice(
            plan.id, make.price_of(rt, plan).id, {}, [pick(tin, 1, EVERY), pick(biscuits, 2)]
        ),
    )

    assert paid(rt, demo_gateway, key) is Outcome.DONE
    renew(rt, clock, RENEWAL)

    assert totals(rt) == [2600 + 900 + 1000, 2600 + 900]
    assert packed(rt) == [(1, honey.id, 2, "addon")]
    consent = rt.session.scalar(sa.select(Consent.amount_minor))
    rt.session.rollback()
    assert consent == 3500


def pick(addon: Addon, quantity: int, cadence: Cadence = ONCE) -> dict[str, object]:
    return {"addon": addon.public_id, "quantity": quantity, "cadence": cadence.value}


def test_a_trial_brings_none_and_the_first_payment_all(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    plan = make.make_plan(rt, trial_days=14)
    honey = make.make_variant(rt)
    key = begin(rt, plan)
    picked = [pick(make.make_addon(rt, 500, variant=honey), 1)]
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, picked))

    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert (totals(rt), packed(rt)) == ([0], [])
    sub = rt.session.scalars(sa.select(Subscription)).one()
    day, number = sub.anchor_on, rt.session.scalar(sa.select(Box.id))
    rt.session.rollback()
    assert number is None
    renew(rt, clock, datetime(day.year, day.month, day.day, 9, 0, tzinfo=UTC))

    assert totals(rt) == [0, 3100]
    assert packed(rt) == [(1, honey.id, 1, "addon")]


def test_a_new_price_of_an_add_on_is_shown_before_it_is_booked(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    tin = make.make_addon(rt, 900)
    key = begin(rt, plan)
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, [pick(tin, 1)]))
    shown = quote_hash(rt, key)
    rt.session.execute(sa.update(table_of(Addon)).values(amounts={"EUR": 1000}))
    rt.session.commit()

    assert order(rt, key, shown).step is Step.CHANGED
    choose(demo_gateway, order(rt, key))


def test_a_second_card_after_a_decline_books_them_once(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)
    change_box(
        rt,
        key,
        BoxChoice(
            plan.id, make.price_of(rt, plan).id, {}, [pick(make.make_addon(rt, 900), 1, EVERY)]
        ),
    )

    assert paid(rt, demo_gateway, key, "0002") is Outcome.DECLINED
    assert paid(rt, demo_gateway, key) is Outcome.DONE

    assert rt.session.scalar(sa.select(sa.func.count()).select_from(SubscriptionAddon)) == 1
    rt.session.rollback()


def test_what_was_billed_once_waits_again_when_its_invoice_is_void(
    rt: Runtime, clock: FrozenClock, plan: Plan
):
    sub = make.make_subscription(rt, plan=plan, card="0341")
    put(rt, sub, make.make_addon(rt, 900), 1, ONCE)
    renew(rt, clock, RENEWAL)
    assert lines(rt) == [(2, "Tin", 1, 900, 1900)]

    cancel(rt, sub.customer_id or 0, sub.public_id)

    row = rt.session.execute(sa.select(table_of(SubscriptionAddon))).one()
    rt.session.rollback()
    assert (row.ended_at, row.period_id) == (None, None)


def test_dearer_for_good_needs_the_words_agreed_to(rt: Runtime, plan: Plan):
    sub = make.make_subscription(rt, plan=plan)
    owner, addon = sub.customer_id or 0, make.make_addon(rt, 900)
    for cadence, asks in ((ONCE, False), (EVERY, True)):
        wish = AddonWish(addon.public_id, 1, cadence)
        assert quote_addon(rt, owner, sub.public_id, wish).asks_consent is asks
    shown = quote_addon(rt, owner, sub.public_id, wish)

    with pytest.raises(ConsentMissing):
        save_addon(rt, owner, sub.public_id, wish, shown.quote_hash)
    with pytest.raises(QuoteChanged):
        save_addon(rt, owner, sub.public_id, wish, "another", YES)
    save_addon(rt, owner, sub.public_id, wish, shown.quote_hash, YES)

    amounts = rt.session.scalars(sa.select(Consent.amount_minor).order_by(Consent.id)).all()
    rt.session.rollback()
    assert amounts == [2600, 3500]


def test_nothing_is_added_where_no_payment_comes(rt: Runtime, plan: Plan):
    sub = make.make_subscription(rt, plan=plan)
    owner, wish = sub.customer_id or 0, AddonWish(make.make_addon(rt, 900).public_id, 1, ONCE)
    with pytest.raises(LookupError):
        quote_addon(rt, owner + 1, sub.public_id, wish)
    with pytest.raises(NotAddable):
        quote_addon(rt, owner, sub.public_id, AddonWish("adn_unknown", 1, ONCE))
    with pytest.raises(NotAddable):
        quote_addon(rt, owner, sub.public_id, AddonWish(wish.addon, 21, ONCE))
    cancel(rt, owner, sub.public_id)

    with pytest.raises(NotAddable):
        quote_addon(rt, owner, sub.public_id, wish)


@pytest.mark.parametrize(
    "values", [{"plans": ["other"]}, {"amounts": {"CHF": 900}}, {"archived_at": RENEWAL}]
)
def test_only_what_is_on_sale_with_the_plan_is_offered(rt: Runtime, plan: Plan, values: dict):
    sub = make.make_subscription(rt, plan=plan)
    addon = make.make_addon(rt, 900, **values)

    with pytest.raises(NotAddable):
        quote_addon(rt, sub.customer_id or 0, sub.public_id, AddonWish(addon.public_id, 1, ONCE))
