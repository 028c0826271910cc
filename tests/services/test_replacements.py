"""Boxes that are sent again: once at a time, from the stock, at the merchant's cost."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.exports import plain_cell
from storefront.domain.replacements import NotReplaceable, Reason
from storefront.domain.shortages import Policy
from storefront.models import (
    Address,
    AuditEntry,
    Box,
    BoxItem,
    BoxReplacement,
    LedgerTransfer,
    OutboxMessage,
    ProductVariant,
    Staff,
    Subscription,
    SubscriptionEvent,
)
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.queries.replacements import by_reason
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import batch_file, export_boxes, ship_batch
from storefront.services.replacements import (
    AlreadyReplaced,
    BoxNotFound,
    NoNextCycle,
    UnknownBoxes,
    Wanted,
    note_outcome,
    note_outcomes,
    replace_box,
    take_back,
)
from storefront.services.staff import add_staff
from storefront.services.stock import set_rule
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.boxes import cycles_of, make_box


@pytest.fixture
def teas(rt):
    return [
        make_variant(rt, sku="ASSAM", name="Assam", on_hand=10, cost_minor=250),
        make_variant(rt, sku="KUKICHA", on_hand=10, cost_minor=400),
    ]


@pytest.fixture
def cycles(rt, teas):
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    make_recipe(rt, plan, variants=teas)
    found = cycles_of(rt, group)
    for _ in range(3):
        make_box(rt, plan, found[0])
    return found


@pytest.fixture
def batch(rt, cycles, clock):
    """Three boxes on their way; returns the batch."""
    clock.advance(days=14)
    close_cycles(rt)
    ref = export_boxes(rt, cycles[0].public_id).public_id
    ship_batch(rt, ref, carrier="DHL", tracking={})
    return ref


@pytest.fixture
def first(rt, batch):
    ref = rt.session.scalar(sa.select(Box.public_id).order_by(Box.id))
    rt.session.rollback()
    return ref


@pytest.fixture
def who(rt):
    add_staff(
        rt, email="help@shop.example", name="Pat", password="kettle on the hob 9", role="owner"
    )
    row = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(row.id, row.public_id, "127.0.0.1")


@pytest.fixture
def want(teas):
    def make(reason=Reason.LOST, *, is_now=True, pieces=None, shipping=0):
        refs = [tea.public_id for tea in teas]
        given = dict(zip(refs, pieces or (1, 1), strict=True))
        return Wanted(reason, given, is_now, shipping, "as seen on a picture")

    return make


def box(rt, ref):
    rt.session.rollback()
    found = rt.session.scalars(sa.select(Box).where(Box.public_id == ref)).one()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def kept(rt):
    """Whether all that must hold of boxes and stock does."""
    found = [name for name in broken(rt.session) if name.startswith("F")]
    rt.session.rollback()
    return not found


def stock(rt):
    rows = rt.session.execute(
        sa.select(ProductVariant.sku, ProductVariant.on_hand, ProductVariant.committed)
    ).all()
    rt.session.rollback()
    return {row.sku: (row.on_hand, row.committed) for row in rows}


def test_a_lost_box_is_sent_again_at_once_with_what_it_held(rt, cycles, first, who, want, batch):
    done = replace_box(rt, first, want(shipping=490), who)

    assert box(rt, first).state is BoxState.LOST
    again = box(rt, done.public_id)
    assert (again.kind, again.state, again.cycle_id) == (
        BoxKind.REPLACEMENT,
        BoxState.LOCKED,
        cycles[0].id,
    )
    assert again.replaces_id == box(rt, first).id
    assert again.packing["contents"] == [["ASSAM", 1], ["KUKICHA", 1]]
    assert stock(rt) == {"ASSAM": (6, 1), "KUKICHA": (6, 1)}
    late = export_boxes(rt, cycles[0].public_id)
    assert (late.number, late.rows) == (2, 1)
    assert "replacement" in plain_cell(batch_file(rt, late.public_id).read_text())
    ship_batch(rt, late.public_id)
    assert box(rt, done.public_id).state is BoxState.SHIPPED
    assert kept(rt)


def test_a_replacement_earns_nothing_and_is_never_paid_for(rt, cycles, first, who, want):
    before = rt.session.scalar(sa.select(sa.func.count()).select_from(LedgerTransfer))

    done = replace_box(rt, first, want(), who)
    ship_batch(rt, export_boxes(rt, cycles[0].public_id).public_id)

    assert box(rt, done.public_id).state is BoxState.SHIPPED
    after = rt.session.scalar(sa.select(sa.func.count()).select_from(LedgerTransfer))
    assert after == before
    assert box(rt, done.public_id).net_minor == 0


def test_a_box_for_the_next_cycle_is_packed_with_it_and_holds_what_it_was_made_with(
    rt, cycles, first, who, want, clock
):
    done = replace_box(rt, first, want(Reason.DAMAGED, is_now=False, pieces=(0, 1)), who)

    again = box(rt, done.public_id)
    assert (again.state, again.cycle_id) == (BoxState.PLANNED, cycles[1].id)
    assert box(rt, first).state is BoxState.DELIVERED
    make_box(rt, _plan_of(rt), cycles[1])
    clock.advance(days=31)
    close_cycles(rt)
    assert box(rt, done.public_id).packing["contents"] == [["KUKICHA", 1]]
    regular = rt.session.scalar(sa.select(Box.packing).order_by(Box.id.desc()))
    assert len(regular["contents"]) == 2


def _plan_of(rt):
    from storefront.models import Plan

    plan = rt.session.scalars(sa.select(Plan)).one()
    rt.session.expunge(plan)
    rt.session.rollback()
    return plan


def test_one_box_is_replaced_once_at_a_time_and_the_replacement_in_turn(
    rt, cycles, first, who, want
):
    done = replace_box(rt, first, want(), who)

    with pytest.raises(AlreadyReplaced) as refused:
        replace_box(rt, first, want(), who)
    assert refused.value.params["box"] == done.public_id
    with pytest.raises(NotReplaceable):
        replace_box(rt, done.public_id, want(), who)
    ship_batch(rt, export_boxes(rt, cycles[0].public_id).public_id)
    again = replace_box(rt, done.public_id, want(), who)

    assert box(rt, again.public_id).replaces_id == box(rt, done.public_id).id
    assert kept(rt)


def test_two_clicks_at_once_send_one_box(app, rt, first, who, want):
    def click(_):
        with app.app_context():
            own = app.extensions["storefront"]
            try:
                return replace_box(own, first, want(), who).public_id
            except AlreadyReplaced:
                return None
            finally:
                own.session.remove()

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(click, range(2)))

    assert sum(one is not None for one in done) == 1
    kinds = rt.session.scalars(sa.select(Box.kind)).all()
    assert kinds.count(BoxKind.REPLACEMENT) == 1


def test_a_replacement_that_is_not_packed_is_taken_back_and_gives_its_stock_back(
    rt, cycles, first, who, want
):
    before = stock(rt)
    done = replace_box(rt, first, want(), who)
    assert take_back(rt, done.public_id, who)

    assert stock(rt) == before
    assert not take_back(rt, done.public_id, who)
    assert not take_back(rt, first, who), "a paid box is no replacement"
    again = replace_box(rt, first, want(), who)
    export_boxes(rt, cycles[0].public_id)
    assert not take_back(rt, again.public_id, who), "the packers have it"
    assert kept(rt)


def test_without_stock_it_waits_like_any_other_box(rt, first, teas, who, want):
    rt.session.execute(
        sa.update(ProductVariant).where(ProductVariant.sku == "ASSAM").values(on_hand=0)
    )
    rt.session.commit()

    done = replace_box(rt, first, want(), who)

    assert (done.state, done.problem) == (BoxState.HELD, "short_stock")


def test_what_came_back_goes_to_the_address_of_today(rt, first, who, want):
    rt.session.execute(sa.update(Address).values(street="New Street 5"))
    own = rt.session.scalars(sa.select(Box).where(Box.public_id == first)).one()
    address = rt.session.scalar(
        sa.select(Subscription.address_id).where(Subscription.id == own.subscription_id)
    )
    own.address_id = address
    rt.session.commit()

    done = replace_box(rt, first, want(Reason.RETURNED), who)

    again = box(rt, done.public_id)
    assert again.address_id is None
    assert again.ship_to["street"] == "New Street 5"


@pytest.mark.parametrize("pieces", [(0, 0), (2, 0), (-1, 1)])
def test_nothing_or_more_than_it_held_is_not_sent(rt, first, who, want, pieces):
    with pytest.raises(NotReplaceable):
        replace_box(rt, first, want(pieces=pieces), who)

    assert rt.session.scalar(sa.select(sa.func.count()).select_from(BoxReplacement)) == 0
    assert box(rt, first).state is BoxState.SHIPPED, "nothing is half done"


def test_without_a_coming_cycle_it_can_only_leave_now(rt, first, who, want):
    from storefront.domain.boxes import CycleState
    from storefront.models import BoxCycle

    rt.session.execute(
        sa.update(BoxCycle)
        .where(BoxCycle.state.in_((CycleState.PLANNED, CycleState.OPEN)))
        .values(state=CycleState.CLOSED)
    )
    rt.session.commit()

    with pytest.raises(NoNextCycle):
        replace_box(rt, first, want(is_now=False), who)

    assert replace_box(rt, first, want(), who).state is BoxState.LOCKED


def test_a_box_that_does_not_exist_or_has_not_left_is_refused(rt, cycles, who, want):
    with pytest.raises(BoxNotFound):
        replace_box(rt, "box_nothing", want(), who)
    planned = rt.session.scalar(sa.select(Box.public_id))
    rt.session.rollback()
    with pytest.raises(NotReplaceable):
        replace_box(rt, planned, want(), who)
    with pytest.raises(NotReplaceable):
        note_outcome(rt, planned, BoxState.LOST, who)


def test_reason_and_cost_are_kept_told_mailed_and_summed_up(rt, first, who, want):
    replace_box(rt, first, want(shipping=490), who)

    row = rt.session.scalars(sa.select(BoxReplacement)).one()
    assert (row.reason, row.goods_minor, row.shipping_minor, row.currency) == (
        "lost",
        650,
        490,
        "EUR",
    )
    assert not row.has_unknown_cost
    topics = rt.session.scalars(sa.select(OutboxMessage.topic)).all()
    assert topics.count("box_replaced") == 1
    kinds = rt.session.scalars(sa.select(SubscriptionEvent.kind)).all()
    assert {"box.lost", "box.replaced"} <= set(kinds)
    assert "box.replaced" in rt.session.scalars(sa.select(AuditEntry.action)).all()
    (sums,) = by_reason(rt.session, rt.moment().start_of(rt.today()))
    assert (sums.reason, sums.boxes, sums.goods.minor, sums.shipping.minor) == ("lost", 1, 650, 490)


def test_a_product_without_a_cost_price_is_said_to_be_unknown(rt, first, teas, who, want):
    rt.session.execute(
        sa.update(ProductVariant).where(ProductVariant.sku == "ASSAM").values(cost_minor=None)
    )
    rt.session.commit()

    replace_box(rt, first, want(), who)

    row = rt.session.scalars(sa.select(BoxReplacement)).one()
    assert (row.goods_minor, row.has_unknown_cost) == (400, True)


def test_parcels_of_a_batch_are_noted_together_or_not_at_all(rt, batch, who):
    refs = rt.session.scalars(sa.select(Box.public_id).order_by(Box.id)).all()
    rt.session.rollback()
    with pytest.raises(UnknownBoxes):
        note_outcomes(rt, batch, [refs[0], "box_nothing"], BoxState.LOST, who)
    assert box(rt, refs[0]).state is BoxState.SHIPPED

    assert note_outcomes(rt, batch, refs[:2], BoxState.LOST, who) == 2
    assert note_outcomes(rt, batch, refs[:2], BoxState.LOST, who) == 0
    assert note_outcomes(rt, batch, refs[:1], BoxState.DELIVERED, who) == 1, "it turned up"

    states = [box(rt, ref).state.value for ref in refs]
    assert states == ["delivered", "lost", "shipped"]
    assert note_outcome(rt, refs[2], BoxState.RETURNED, who)
    assert not note_outcome(rt, refs[2], BoxState.RETURNED, who)


def test_items_are_taken_from_the_stock_once(rt, cycles, first, who, want):
    done = replace_box(rt, first, want(), who)
    export_boxes(rt, cycles[0].public_id)

    rows = rt.session.scalars(
        sa.select(BoxItem.quantity)
        .join(Box, Box.id == BoxItem.box_id)
        .where(Box.public_id == done.public_id)
    ).all()
    assert rows == [1, 1]
    assert kept(rt)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("F10", {"state": BoxState.SHIPPED}),
        ("F10", {"replaces_id": None}),
        ("F12", {"net_minor": 5}),
    ],
)
def test_the_nightly_check_finds_a_replacement_that_cannot_be(rt, first, who, want, name, values):
    done = replace_box(rt, first, want(), who)
    ref = first if "state" in values else done.public_id
    rt.session.execute(sa.update(Box).where(Box.public_id == ref).values(values))
    rt.session.commit()

    assert name in broken(rt.session)
    rt.session.rollback()


@pytest.mark.parametrize("policy", [Policy.SUBSTITUTE, Policy.DROP])
def test_another_product_goes_in_by_its_rule_and_nothing_is_left_out(rt, teas, first, who, policy):
    other = make_variant(rt, sku="SENCHA", name="Sencha", on_hand=1)
    rt.session.execute(
        sa.update(ProductVariant)
        .where(ProductVariant.id == teas[0].id)
        .values(on_hand=0, price_minor=400)
    )
    rt.session.commit()
    substitute = other.sku if policy is Policy.SUBSTITUTE else ""
    set_rule(rt, teas[0].public_id, is_counted=True, policy=policy, substitute=substitute)
    wanted = {tea.public_id: 1 for tea in teas}
    done = replace_box(rt, first, Wanted(Reason.LOST, wanted, is_now=True), who)
    if policy is Policy.DROP:
        assert (done.state, done.problem) == (BoxState.HELD, "short_stock")
        return
    assert done.state == BoxState.LOCKED
    held = sa.select(ProductVariant.sku).join(BoxItem, BoxItem.variant_id == ProductVariant.id)
    own = held.join(Box, Box.id == BoxItem.box_id).where(Box.public_id == done.public_id)
    assert sorted(rt.session.scalars(own)) == ["KUKICHA", "SENCHA"]
    rt.session.rollback()
