"""Add-ons and chosen products that have run out: each follows the rule of its own SKU."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from storefront.domain.addons import Reach
from storefront.domain.choices import Rule
from storefront.domain.invoices import LineKind
from storefront.domain.shortages import Policy
from storefront.models import (
    Addon,
    AllergyAnswer,
    Box,
    BoxItem,
    BoxShortage,
    CreditNote,
    CycleGroup,
    Invoice,
    InvoiceLine,
    OutboxMessage,
    Product,
    ProductVariant,
    Subscription,
)
from storefront.queries.invariants import broken
from storefront.services.additions import AdditionWish, add_to_boxes, quote_now
from storefront.services.baskets import BoxChoice, change_box
from storefront.services.choices import choose_contents
from storefront.services.coupons import use_code
from storefront.services.cycles import close_cycles
from storefront.services.finishing import Outcome
from storefront.services.packing import Ingredient, retry_boxes, save_recipe
from storefront.services.stock import adjust_stock, set_rule
from storefront.testing import factories as make
from tests.support.boxes import cycles_of
from tests.support.orders import begin, paid


@pytest.fixture(autouse=True)
def _after(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def rows(rt, model):
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


def rule(rt, variant, policy, substitute=""):
    set_rule(rt, variant.public_id, is_counted=True, policy=policy, substitute=substitute)


@pytest.fixture
def plan(rt):
    """A plan of one tea of which there is plenty."""
    plan = make.make_plan(rt, group=make.make_group(rt))
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, sku="TEA", on_hand=50)])
    return plan


def ordered(rt, plan, demo_gateway, addon, quantity, code=""):
    """Order a box with an add-on in it, 10 % off with the code."""
    key = begin(rt, plan)
    pick = {"addon": addon.public_id, "quantity": quantity, "cadence": "once"}
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, [pick]))
    if code:
        make.make_code(rt, code, percent=10)
        use_code(rt, key, code)
    assert paid(rt, demo_gateway, key) is Outcome.DONE


def lock(rt, clock):
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    close_cycles(rt)


def contents(rt):
    [box] = [box for box in rows(rt, Box) if box.locked_at or box.problem]
    return (box.problem, (box.packing or {}).get("contents"))


def notes(rt):
    return [(note.total_minor, note.tax_minor) for note in rows(rt, CreditNote)]


def test_left_out_it_is_credited_as_it_was_paid_with_its_discount_and_tax(
    rt, clock, plan, demo_gateway
):
    honey = make.make_variant(rt, sku="HONEY", on_hand=1, price_minor=900)
    addon = make.make_addon(rt, 500, name="Honey", variant=honey, tax_class="reduced")
    ordered(rt, plan, demo_gateway, addon, 2, "WELCOME")
    rule(rt, honey, Policy.DROP)
    lock(rt, clock)

    # Two for 10.00 less 10 %: one is 4.50, whatever it costs at retail; 7 % tax in it, half up.
    assert contents(rt) == ("", [["TEA", 1], ["HONEY", 1]])
    assert notes(rt) == [(450, 30)]
    [short] = rows(rt, BoxShortage)
    assert (short.quantity, short.credit_minor) == (1, 450)
    [mail] = [row for row in rows(rt, OutboxMessage) if row.topic == "box_short"]
    assert mail.payload["credit_minor"] == 450


def test_all_of_it_left_out_lies_in_no_box(rt, clock, plan, demo_gateway):
    honey = make.make_variant(rt, sku="HONEY", on_hand=1, price_minor=900)
    addon = make.make_addon(rt, 500, name="Honey", variant=honey)
    ordered(rt, plan, demo_gateway, addon, 2)
    adjust_stock(rt, honey.public_id, "loss", -1, "")
    rule(rt, honey, Policy.DROP)
    lock(rt, clock)

    assert contents(rt) == ("", [["TEA", 1]])
    assert notes(rt) == [(1000, 160)]
    assert [item.origin for item in rows(rt, BoxItem)] == ["recipe"]


def test_another_comes_instead_or_the_box_waits_as_its_rule_says(rt, clock, plan, demo_gateway):
    honey = make.make_variant(rt, sku="HONEY", on_hand=1, price_minor=900)
    make.make_variant(rt, sku="JAM", name="Jam", on_hand=5)
    ordered(rt, plan, demo_gateway, make.make_addon(rt, 500, name="Honey", variant=honey), 2)
    lock(rt, clock)
    assert contents(rt)[0] == "short_stock"

    rule(rt, honey, Policy.SUBSTITUTE, "JAM")
    cycle = cycles_of(rt, rows(rt, CycleGroup)[0])[0].public_id
    retry_boxes(rt, cycle)

    assert contents(rt) == ("", [["TEA", 1], ["JAM", 1], ["HONEY", 1]])
    assert notes(rt) == []
    assert sorted(item.origin for item in rows(rt, BoxItem)) == ["addon", "recipe", "substitute"]


def test_nothing_comes_instead_that_is_not_tolerated(rt, clock, plan, demo_gateway):
    honey = make.make_variant(rt, sku="HONEY", on_hand=1, price_minor=900)
    nutty = make.make_variant(rt, sku="NUTTY", on_hand=5)
    product = sa.select(ProductVariant.product_id).where(ProductVariant.id == nutty.id)
    rt.session.execute(
        sa.update(Product).where(Product.id == product.scalar_subquery()).values(allergens=["nuts"])
    )
    ordered(rt, plan, demo_gateway, make.make_addon(rt, 500, name="Honey", variant=honey), 2)
    [sub] = rows(rt, Subscription)
    rt.session.add(
        AllergyAnswer(subscription_id=sub.id, number=1, allergens=["nuts"], answered_at=rt.now())
    )
    rt.session.commit()
    rule(rt, honey, Policy.SUBSTITUTE, "NUTTY")
    lock(rt, clock)

    assert contents(rt)[0] == "short_stock"


def forget_the_addons_of_lines(rt):
    """Leave the lines as they were before they kept their add-on; they are frozen else."""
    if rt.session.get_bind().dialect.name == "postgresql":
        rt.session.execute(sa.text("ALTER TABLE invoice_line DISABLE TRIGGER USER"))
        rt.session.execute(sa.update(InvoiceLine).values(addon_id=None))
        rt.session.execute(sa.text("ALTER TABLE invoice_line ENABLE TRIGGER USER"))
    else:
        frozen = sa.text("SELECT sql FROM sqlite_master WHERE name = 'tr_invoice_line_frozen'")
        trigger = rt.session.execute(frozen).scalar_one()
        rt.session.execute(sa.text("DROP TRIGGER tr_invoice_line_frozen"))
        rt.session.execute(sa.update(InvoiceLine).values(addon_id=None))
        rt.session.execute(sa.text(trigger))
    rt.session.commit()


@pytest.mark.parametrize("is_old", [False, True])
def test_the_line_keeps_its_add_on_and_one_from_before_that_is_known_by_its_name(
    rt, clock, plan, demo_gateway, is_old
):
    honey = make.make_variant(rt, sku="HONEY", on_hand=1, price_minor=900)
    addon = make.make_addon(rt, 500, name="Honey", variant=honey)
    ordered(rt, plan, demo_gateway, addon, 2)
    lines = [(line.kind, line.addon_id) for line in rows(rt, InvoiceLine)]
    assert lines == [(LineKind.PLAN, None), (LineKind.ADDON, addon.id)]
    with pytest.raises(sa.exc.DBAPIError, match="frozen"):
        rt.session.execute(sa.update(InvoiceLine).values(addon_id=None))
    rt.session.rollback()
    if is_old:
        forget_the_addons_of_lines(rt)
    else:
        rt.session.execute(sa.update(Addon).values(name="Called otherwise by now"))
        rt.session.commit()
    rule(rt, honey, Policy.DROP)
    lock(rt, clock)

    assert (contents(rt), notes(rt)) == (("", [["TEA", 1], ["HONEY", 1]]), [(500, 80)])


def test_of_two_add_ons_with_one_name_each_is_credited_as_it_was_paid(
    rt, clock, plan, demo_gateway
):
    honey = make.make_variant(rt, sku="HONEY", on_hand=1, price_minor=900)
    wild = make.make_variant(rt, sku="WILD", on_hand=5, price_minor=1900)
    first = make.make_addon(rt, 500, name="Honey", variant=honey)
    second = make.make_addon(rt, 700, name="Honey", variant=wild)
    key = begin(rt, plan)
    picks = [{"addon": one.public_id, "quantity": 1, "cadence": "every"} for one in (first, second)]
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, picks))
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    adjust_stock(rt, honey.public_id, "loss", -1, "")
    rule(rt, honey, Policy.DROP)
    lock(rt, clock)

    assert (contents(rt), notes(rt)) == (("", [["TEA", 1], ["WILD", 1]]), [(500, 80)])


def test_where_no_one_line_says_what_was_paid_the_box_waits(rt, clock, plan, demo_gateway):
    honey = make.make_variant(rt, sku="HONEY", on_hand=1, price_minor=900)
    ordered(rt, plan, demo_gateway, make.make_addon(rt, 500, name="Honey", variant=honey), 2)
    forget_the_addons_of_lines(rt)
    rt.session.execute(sa.update(Addon).values(name="Called otherwise by now"))
    rt.session.commit()
    rule(rt, honey, Policy.DROP)
    lock(rt, clock)

    assert (contents(rt)[0], notes(rt)) == ("short_stock", [])


def test_what_was_bought_apart_is_credited_on_its_own_invoice(rt, clock, plan):
    sub = make.make_subscription(rt, plan=plan)
    honey = make.make_variant(rt, sku="HONEY", on_hand=2, price_minor=900)
    addon = make.make_addon(rt, 500, name="Honey", variant=honey)
    wish = AdditionWish(addon.public_id, 2, Reach.NEXT)
    who = (rt, sub.customer_id, sub.public_id, wish)
    assert add_to_boxes(*who, quote_now(*who).quote_hash, "once").outcome == "added"
    adjust_stock(rt, honey.public_id, "loss", -1, "")
    rule(rt, honey, Policy.DROP)
    lock(rt, clock)

    assert contents(rt) == ("", [["TEA", 1], ["HONEY", 1]])
    [note] = rows(rt, CreditNote)
    [_first, second] = rows(rt, Invoice)
    assert (note.total_minor, note.invoice_id) == (500, second.id)


@pytest.mark.parametrize("policy", [Policy.HOLD, Policy.DROP, Policy.SUBSTITUTE])
def test_a_choice_that_its_pool_cannot_fill_any_more_follows_the_rule_of_what_is_missing(
    rt, clock, policy
):
    plan = make.make_plan(rt, group=make.make_group(rt))
    teas = [make.make_variant(rt, sku=f"T{n}", on_hand=5, price_minor=400) for n in range(3)]
    make.make_variant(rt, sku="OTHER", on_hand=5)
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, None, "", pool, rule=Rule(3))
    sub = make.make_subscription(rt, plan=plan)
    cycle = cycles_of(rt, rows(rt, CycleGroup)[0])[0].public_id
    picked = {one.public_id: 1 for one in teas}
    choose_contents(rt, sub.customer_id, sub.public_id, cycle, picked)
    adjust_stock(rt, teas[0].public_id, "loss", -5, "")
    if policy is not Policy.HOLD:
        rule(rt, teas[0], policy, "OTHER" if policy is Policy.SUBSTITUTE else "")
    lock(rt, clock)

    problem, packed = contents(rt)
    expected = {
        Policy.HOLD: ("short_choice", None),
        Policy.DROP: ("", [["T1", 1], ["T2", 1]]),
        Policy.SUBSTITUTE: ("", [["OTHER", 1], ["T1", 1], ["T2", 1]]),
    }[policy]
    assert (problem, packed) == expected
    assert notes(rt) == ([(400, 64)] if policy is Policy.DROP else [])
