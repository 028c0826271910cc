"""Four cycles of one shop from recipe to parcel, and everything that subscribers do meanwhile."""

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.late_changes import LateKind, LateState
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.replacements import Reason
from storefront.domain.shortages import Policy
from storefront.models import (
    Box,
    BoxCycle,
    BoxShortage,
    CustomerCredit,
    FulfilmentBatch,
    Product,
    ProductVariant,
    Subscription,
)
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.addresses import PostalAddress, change_address
from storefront.services.cancellations import cancel
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import recheck_batch, ship_batch
from storefront.services.gifts import claim
from storefront.services.late_changes import Wish, accept_late, ask_late
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.renewals import run_renewals
from storefront.services.replacements import Wanted, replace_box
from storefront.services.skips import BoxTooLate, skip_box, undo_skip
from storefront.services.stock import adjust_stock, set_rule
from storefront.services.swaps import offer_swaps, take_instead
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.asking import run_all_asked
from tests.support.availability import is_long
from tests.support.gifts import HOME, code_of, make_gift, wish_for


def tea(rt: Runtime, sku: str, on_hand: int) -> ProductVariant:
    """Return a tea worth 8.00 whose every piece in stock was received."""
    variant = make.make_variant(rt, sku=sku, name=sku.title(), on_hand=0, price_minor=400)
    rt.session.execute(
        sa.update(Product).where(Product.id == variant.product_id).values(category="Tea")
    )
    rt.session.commit()
    adjust_stock(rt, variant.public_id, "receipt", on_hand, "opening")
    return variant


def live(rt: Runtime, clock: FrozenClock, month: int, day: int) -> None:
    """Let a morning come, with all that a worker does in it."""
    rt.session.rollback()
    clock.set(datetime(2027, month, day, 9, 0, tzinfo=UTC))
    assert run_all_asked(rt), f"a job failed on {rt.today()}"
    rt.session.rollback()
    assert broken(rt.session) == {}, f"on {rt.today()}"
    rt.session.rollback()


def cycle_of(rt: Runtime, key: str) -> str:
    public = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == key)).one()
    rt.session.rollback()
    return public


def who_and(rt: Runtime, sub: Subscription, key: str) -> tuple[int, str, str]:
    """Return customer, subscription and cycle as what a page does is told them."""
    return sub.customer_id or 0, sub.public_id, cycle_of(rt, key)


def in_files(rt: Runtime, key: str) -> dict[str, Counter[str]]:
    """Return by subscription what the files of the cycle say, and hold them to their hashes."""
    batches = rt.session.execute(
        sa.select(FulfilmentBatch.public_id, FulfilmentBatch.file_name)
        .join(BoxCycle, BoxCycle.id == FulfilmentBatch.cycle_id)
        .where(BoxCycle.key == key)
    ).all()
    owners = {
        row.public_id: row.owner
        for row in rt.session.execute(
            sa.select(Box.public_id, Subscription.public_id.label("owner")).join(
                Subscription, Subscription.id == Box.subscription_id
            )
        )
    }
    rt.session.rollback()
    found: dict[str, Counter[str]] = {}
    for batch in batches:
        again = recheck_batch(rt, batch.public_id)
        assert (again.is_same, again.file_was_right) == (True, True)
        text = rt.files.path_of(batch.file_name).read_text(encoding="utf-8-sig")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            # Eve's box that is sent again lies beside her next one.
            found.setdefault(owners[row["box"]], Counter()).update(
                dict(_piece(each) for each in row["contents"].split("; "))
            )
    return found


def _piece(text: str) -> tuple[str, int]:
    sku, _, pieces = text.rpartition(" x ")
    return sku, int(pieces)


@pytest.mark.slow
def test_four_cycles_with_skips_swaps_a_shortage_a_box_sent_again_a_gift_and_a_late_change(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    bank, greta = demo_gateway.bank, make_staff(rt)
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group)
    assam, sencha, rooibos = tea(rt, "ASSAM", 100), tea(rt, "SENCHA", 12), tea(rt, "ROOIBOS", 9)
    given = make.make_plan(rt, group=group, amount_minor=6900, count=3, name="Gift")
    for each in (plan, given):
        pair = [Ingredient(one.public_id, 1) for one in (assam, sencha)]
        save_recipe(rt, each.public_id, None, "", pair)
    offer_swaps(rt, plan.public_id, [rooibos.public_id])
    set_rule(rt, sencha.public_id, is_counted=True, policy=Policy.DROP)
    cleo, bo, ada, eve = (make.make_subscription(rt, plan=plan) for _ in range(4))
    gift = make_gift(rt, given, wish_for(rt.today()))
    assert bank.executed_count() == 5

    # 2 March. Ada goes on holiday, Bo takes rooibos once; the gift waits for an address.
    assert skip_box(rt, *who_and(rt, ada, "2027-03")).moved_to_on == date(2027, 4, 19)
    take_instead(rt, *who_and(rt, bo, "2027-03"), assam.public_id, rooibos.public_id)
    skip_box(rt, *who_and(rt, bo, "2027-04"))
    for month, day in ((3, 12), (3, 16)):
        live(rt, clock, month, day)
    usual = Counter({"ASSAM": 1, "SENCHA": 1})
    other = Counter({"ROOIBOS": 1, "SENCHA": 1})
    assert in_files(rt, "2027-03") == {
        bo.public_id: other,
        cleo.public_id: usual,
        eve.public_id: usual,
    }

    # April. Grace says where her gift goes, Bo will be at home after all, Ada owes nothing; Cleo
    # asks a day after the cut-off to leave her box out, and gets its price as credit.
    claim(rt, code_of(rt, gift), "grace@example.org", HOME)
    undo_skip(rt, *who_and(rt, bo, "2027-04"))
    live(rt, clock, 4, 12)
    assert bank.executed_count() == 8
    wish = ask_late(rt, *who_and(rt, cleo, "2027-04"), Wish(LateKind.KEEP_BACK))
    assert accept_late(rt, greta, wish) is LateState.ACCEPTED
    live(rt, clock, 4, 16)
    grace = rt.session.get_one(Subscription, gift.subscription_id).public_id
    assert in_files(rt, "2027-04") == dict.fromkeys(
        (ada.public_id, bo.public_id, eve.public_id, grace), usual
    )

    # Eve's parcel is lost on its way: she gets one more with May's.
    ref = rt.session.scalars(
        sa.select(FulfilmentBatch.public_id).order_by(FulfilmentBatch.id.desc())
    ).first()
    assert ref is not None
    assert ship_batch(rt, ref) == 4
    hers = sa.select(Box.public_id).where(Box.subscription_id == eve.id).order_by(Box.id.desc())
    lost = rt.session.scalars(hers.limit(1)).one()
    rt.session.rollback()
    pieces = {assam.public_id: 1, sencha.public_id: 1}
    replace_box(rt, lost, Wanted(Reason.LOST, pieces, is_now=False), greta)

    # May. Five of six boxes find sencha; the last one is sent without, and credited. Cleo pays
    # with April's credit.
    live(rt, clock, 5, 12)
    assert bank.executed_count() == 11
    live(rt, clock, 5, 18)
    may = in_files(rt, "2027-05")
    short = rt.session.execute(
        sa.select(Subscription.public_id, BoxShortage.credit_minor)
        .join(Box, Box.id == BoxShortage.box_id)
        .join(Subscription, Subscription.id == Box.subscription_id)
    ).one()
    rt.session.rollback()
    assert short.credit_minor == 400
    wanted = {one.public_id: usual for one in (ada, bo, cleo)} | {grace: usual}
    wanted[eve.public_id] = usual + usual
    wanted[short.public_id] = wanted[short.public_id] - Counter({"SENCHA": 1})
    assert may == wanted

    # June. More sencha has come, and Bo wants rooibos from now on; Grace's last box.
    adjust_stock(rt, sencha.public_id, "receipt", 10, "delivery")
    take_instead(
        rt,
        *who_and(rt, bo, "2027-06"),
        assam.public_id,
        rooibos.public_id,
        is_standing=True,
    )
    live(rt, clock, 6, 12)
    live(rt, clock, 6, 16)
    assert in_files(rt, "2027-06") == {
        **dict.fromkeys((ada.public_id, cleo.public_id, eve.public_id, grace), usual),
        bo.public_id: other,
    }

    # So these were four cycles: each paid box left once or was credited, and every piece is where
    # the books say.
    states = Counter(rt.session.scalars(sa.select(Box.state)))
    credit = rt.session.scalar(sa.select(sa.func.sum(CustomerCredit.balance_minor)))
    left = dict(rt.session.execute(sa.select(ProductVariant.sku, ProductVariant.on_hand)).all())
    rt.session.rollback()
    assert (states.total(), states[BoxState.CANCELED]) == (19, 1)
    assert states[BoxState.PLANNED] + states[BoxState.HELD] + states[BoxState.LOCKED] == 0
    assert left == {"ASSAM": 100 - 16, "SENCHA": 12 + 10 - 17, "ROOIBOS": 9 - 2}
    assert (credit, bank.executed_count()) == (0, 15)
    assert bank.executed_total("EUR") == 14 * 2600 + 6900 - 400
    assert bank.double_charges() == []


@pytest.mark.slow
def test_a_box_of_a_canceled_subscription_that_was_moved_by_a_skip_is_exported(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt)
    make.make_recipe(rt, plan)
    ada = make.make_subscription(rt, plan=plan)
    skip_box(rt, *who_and(rt, ada, "2027-03"))
    cancel(rt, ada.customer_id or 0, ada.public_id)

    for month, day in ((3, 16), (4, 2), (4, 12), (4, 16)):
        live(rt, clock, month, day)

    assert rt.session.get_one(Subscription, ada.id).state is SubscriptionState.CANCELED
    assert list(in_files(rt, "2027-03")) == []
    assert list(in_files(rt, "2027-04")) == [ada.public_id]
    assert rt.session.scalars(sa.select(Box.state)).one() is BoxState.EXPORTED
    rt.session.rollback()
    assert demo_gateway.bank.executed_count() == 1


#: Zone, a day on which its clocks change, and the last second of that day.
CHANGES = [
    # The day has 23 hours: what counts is the offset at its end.
    ("Europe/Berlin", date(2027, 3, 28), datetime(2027, 3, 28, 21, 59, 59, tzinfo=UTC)),
    ("America/New_York", date(2027, 3, 14), datetime(2027, 3, 15, 3, 59, 59, tzinfo=UTC)),
    # 25 hours.
    ("Pacific/Auckland", date(2027, 4, 4), datetime(2027, 4, 4, 11, 59, 59, tzinfo=UTC)),
]


#: Of each zone its cut-off or its lock, in a long run both.
ENDS = [(*change, at % 2 == 1) for at, change in enumerate(CHANGES)]
ENDS += [(*change, at % 2 == 0) for at, change in enumerate(CHANGES)] if is_long() else []


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "change", "last", "is_lock"), ENDS)
def test_over_four_cycles_cut_off_and_lock_come_to_the_second_where_clocks_change(
    rt: Runtime, clock: FrozenClock, zone: str, change: date, last: datetime, *, is_lock: bool
) -> None:
    """The day of the change is the cut-off of a cycle, or its lock day."""
    make.make_shop(rt, zone=zone)
    charge = change - timedelta(days=3) if is_lock else change + timedelta(days=1)
    plan = make.make_plan(rt, group=make.make_group(rt, charge_day=charge.day))
    make.make_recipe(rt, plan)
    sub = make.make_subscription(rt, plan=plan)
    cycles = rt.session.scalars(
        sa.select(BoxCycle)
        .where(BoxCycle.cutoff_on > rt.today())
        .order_by(BoxCycle.ship_from)
        .limit(4)
    ).all()
    rt.session.expunge_all()
    rt.session.rollback()
    hits = [cycle for cycle in cycles if change == (cycle.lock_on if is_lock else cycle.cutoff_on)]
    assert len(hits) == 1

    for number, cycle in enumerate(cycles, 1):
        end = end_of(cycle.cutoff_on, zone)
        assert is_lock or cycle is not hits[0] or end == last
        clock.set(end)
        assert move_to(rt, sub, f"In time {number}").closed_box_on is None
        if number > 1:  # The first one is paid: skipped, it would stand behind the others.
            skip_box(rt, sub.customer_id or 0, sub.public_id, cycle.public_id)
            undo_skip(rt, sub.customer_id or 0, sub.public_id, cycle.public_id)
        clock.set(end + timedelta(seconds=1))
        with pytest.raises(BoxTooLate):
            skip_box(rt, sub.customer_id or 0, sub.public_id, cycle.public_id)
        assert move_to(rt, sub, f"Too late {number}").closed_box_on == cycle.ship_from

        clock.set(end + timedelta(days=1))
        run_renewals(rt)
        end = end_of(cycle.lock_on, zone)
        assert not is_lock or cycle is not hits[0] or end == last
        clock.set(end)
        # One whose cut-off was over at the beginning may be locked here, as its day is long past.
        assert cycle.public_id not in close_cycles(rt).cycles
        clock.set(end + timedelta(seconds=1))
        done = close_cycles(rt)
        assert (done.cycles, done.boxes.locked) == ([cycle.public_id], 1)
        ship_to = rt.session.scalars(sa.select(Box.ship_to).where(Box.cycle_id == cycle.id)).one()
        rt.session.rollback()
        assert ship_to is not None
        assert ship_to["street"] == f"In time {number}"


def end_of(day: date, zone: str) -> datetime:
    """Return the last second of ``day`` there, worked out apart from the engine."""
    begin = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)) + timedelta(days=1)
    return begin.astimezone(UTC) - timedelta(seconds=1)


def move_to(rt: Runtime, sub: Subscription, street: str):  # type: ignore[no-untyped-def]
    address = PostalAddress("Ada Weber", street, "07745", "Jena", "DE")
    return change_address(rt, sub.customer_id or 0, sub.public_id, address)
