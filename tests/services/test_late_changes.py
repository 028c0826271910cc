"""What is asked of a box after its cut-off: decided by staff, or overtaken by the export."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.addons import Cadence
from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.late_changes import LateKind, LateState, is_in_the_house, kinds_for
from storefront.jobs.work import CLOSE_CYCLES, EXPORT
from storefront.models import (
    Box,
    BoxCycle,
    CreditNote,
    Customer,
    CustomerCredit,
    Invoice,
    LateChange,
    OutboxMessage,
    ProductVariant,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.operations.consents import Given
from storefront.operations.erasure import erase
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.addons import AddonWish, quote_addon, save_addon
from storefront.services.fulfilment import export_boxes
from storefront.services.late_changes import (
    AlreadyAsked,
    AlreadyDecided,
    LateNotFound,
    NotAskable,
    NotDeliveredThere,
    Wish,
    WishIncomplete,
    accept_late,
    ask_late,
    ask_late_for,
    refuse_late,
)
from storefront.services.renewals import run_renewals
from storefront.services.staff import add_staff
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.asking import run_asked
from tests.support.orders import in_parallel, only

KEEP = Wish(LateKind.KEEP_BACK)
ELSEWHERE = Wish(
    LateKind.ADDRESS,
    {"name": "Bo", "street": "Am Ufer 1", "postcode": "07745", "city": "Jena", "country": "FR"},
    "I am away",
)


@pytest.fixture
def who(rt: Runtime) -> Who:
    from storefront.models import Staff

    add_staff(rt, email="o@shop.example", name="O", password="kettle on the hob 9", role="owner")
    row = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(row.id, row.public_id, "192.0.2.1")


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Ordered and paid on 2 March: March's box, cut off on the 11th, locked on the 15th."""
    plan = make.make_plan(rt)
    make.make_recipe(rt, plan)
    return make.make_subscription(rt, plan=plan)


def day(clock: FrozenClock, number: int) -> None:
    clock.set(datetime(2027, 3, number, 9, 0, tzinfo=UTC))


def locked(rt: Runtime, clock: FrozenClock) -> None:
    day(clock, 16)
    assert run_asked(rt, CLOSE_CYCLES)
    rt.session.rollback()


def march(rt: Runtime) -> str:
    ref = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-03")).one()
    rt.session.rollback()
    return ref


def ask(rt: Runtime, sub: Subscription, wish: Wish) -> str:
    return ask_late(rt, sub.customer_id or 0, sub.public_id, march(rt), wish)


def every(rt: Runtime, model: type) -> Sequence[sa.Row[Any]]:
    table = table_of(model)
    found = rt.session.execute(sa.select(table).order_by(table.c.id)).all()
    rt.session.rollback()
    return found


def mailed(rt: Runtime) -> list[tuple[str, int]]:
    rows = rt.session.execute(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == "late_change")
        .order_by(OutboxMessage.id)
    ).scalars()
    found = [(row["state"], row["credit_minor"]) for row in rows]
    rt.session.rollback()
    return found


def credit(rt: Runtime) -> int:
    found = rt.session.scalar(sa.select(sa.func.sum(CustomerCredit.balance_minor)))
    rt.session.rollback()
    return int(found or 0)


def test_an_accepted_address_is_that_of_the_parcel_alone(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    with pytest.raises(NotAskable):  # Its owner can still change it alone.
        ask(rt, sub, ELSEWHERE)
    locked(rt, clock)
    with pytest.raises(WishIncomplete):
        ask(rt, sub, Wish(LateKind.ADDRESS, {"street": "Am Ufer 1"}))
    ref = ask(rt, sub, ELSEWHERE)
    with pytest.raises(AlreadyAsked):
        ask(rt, sub, KEEP)
    assert accept_late(rt, who, ref) is LateState.ACCEPTED
    box = only(rt, Box)
    assert (box.ship_to["street"], box.ship_to["country"]) == ("Am Ufer 1", "DE")
    assert box.address_id is None
    with pytest.raises(AlreadyDecided):
        refuse_late(rt, who, ref, "no")
    assert mailed(rt) == [("accepted", 0)]
    assert (only(rt, LateChange).note, only(rt, LateChange).asked_by) == ("I am away", "customer")
    export_boxes(rt, march(rt))
    assert only(rt, Box).state is BoxState.EXPORTED
    assert only(rt, LateChange).state == "accepted"


def test_between_cut_off_and_lock_the_box_gets_an_address_of_its_own(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    day(clock, 12)
    ref = ask_late_for(rt, who, only(rt, Box).public_id, ELSEWHERE)
    assert accept_late(rt, who, ref) is LateState.ACCEPTED
    assert only(rt, LateChange).asked_by == "staff"
    locked(rt, clock)
    assert only(rt, Box).ship_to["street"] == "Am Ufer 1"


def test_a_packed_box_that_a_dispute_holds_goes_to_the_address_that_was_accepted(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    locked(rt, clock)
    rt.session.execute(sa.update(table_of(Box)).values(state="held", problem="held"))
    rt.session.commit()
    assert accept_late(rt, who, ask(rt, sub, ELSEWHERE)) is LateState.ACCEPTED
    box = only(rt, Box)
    assert (box.ship_to["street"], box.address_id) == ("Am Ufer 1", None)
    assert (box.state, box.problem) == (BoxState.HELD, "held")


def test_a_box_that_waited_for_an_address_alone_is_packed_once_one_is_accepted(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    make.make_zone(rt, "DE 077", None)
    locked(rt, clock)
    assert only(rt, Box).problem == "no_address"
    berlin = Wish(LateKind.ADDRESS, {**ELSEWHERE.address, "postcode": "10115", "city": "Berlin"})
    assert accept_late(rt, who, ask(rt, sub, berlin)) is LateState.ACCEPTED
    assert run_asked(rt, CLOSE_CYCLES)
    rt.session.rollback()
    box = only(rt, Box)
    assert (box.state, box.problem, box.ship_to["city"]) == (BoxState.LOCKED, "", "Berlin")
    assert len(export_boxes(rt, march(rt)).sha256) == 64


def test_nothing_is_sent_where_nothing_is_sent_or_where_no_country_is_known(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    day(clock, 12)
    ref = ask(rt, sub, ELSEWHERE)
    make.make_zone(rt, "DE 077", None)
    with pytest.raises(NotDeliveredThere):
        accept_late(rt, who, ref)
    rt.session.execute(sa.update(table_of(Subscription)).values(address_id=None))
    rt.session.commit()
    with pytest.raises(NotDeliveredThere):
        accept_late(rt, who, ref)
    assert (only(rt, LateChange).state, only(rt, Box).address_id) == ("open", None)


def test_of_the_money_only_who_paid_is_told(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    payer, other = sub.customer_id, make.make_customer(rt, name="Bo").id
    rt.session.execute(sa.update(table_of(Subscription)).values(customer_id=other, payer_id=payer))
    rt.session.commit()
    locked(rt, clock)
    assert accept_late(rt, who, ask_late_for(rt, who, only(rt, Box).public_id, KEEP)) == "accepted"
    told = {row.topic: row for row in every(rt, OutboxMessage)}
    assert mailed(rt) == [("accepted", 0)]
    assert (told["late_change"].customer_id, told["refunded"].customer_id) == (other, payer)
    assert told["refunded"].payload["amount_minor"] == credit(rt) == 2600


def test_a_box_that_is_kept_back_is_credited_once_and_its_stock_is_free_again(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    stock = only(rt, ProductVariant).on_hand
    locked(rt, clock)
    assert only(rt, ProductVariant).on_hand == stock - 1
    ref = ask(rt, sub, KEEP)
    assert accept_late(rt, who, ref) is LateState.ACCEPTED
    assert only(rt, Box).state is BoxState.CANCELED
    assert (only(rt, ProductVariant).on_hand, only(rt, ProductVariant).committed) == (stock, 0)
    assert (credit(rt), mailed(rt)) == (2600, [("accepted", 2600)])
    assert rt.session.get_one(BoxCycle, only(rt, Box).cycle_id).state == "shipped"
    rt.session.rollback()
    with pytest.raises(AlreadyDecided):
        accept_late(rt, who, ref)
    with pytest.raises(LateNotFound):
        ask(rt, sub, KEEP)
    assert credit(rt) == 2600
    assert broken(rt.session) == {}
    rt.session.rollback()


def test_a_box_gives_back_its_share_of_every_line_that_paid_for_it_with_that_line_s_tax(
    rt: Runtime, clock: FrozenClock, who: Who
) -> None:
    make.make_zone(rt, "DE", 490)
    plan = make.make_plan(rt, count=2, amount_minor=5200)
    make.make_recipe(rt, plan)
    sub = make.make_subscription(rt, plan=plan)
    wish = AddonWish(make.make_addon(rt, 1190).public_id, 1, Cadence.EVERY)
    owner = sub.customer_id or 0
    shown = quote_addon(rt, owner, sub.public_id, wish)
    save_addon(rt, owner, sub.public_id, wish, shown.quote_hash, Given("Yes", "1", "::1", "UA"))
    clock.set(datetime(2027, 5, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    paid = every(rt, Invoice)[-1]
    boxes = every(rt, Box)[-2:]
    assert sum(box.net_minor + box.tax_minor for box in boxes) == paid.total_minor
    for number, box in enumerate(boxes):
        cutoff = rt.session.get_one(BoxCycle, box.cycle_id).cutoff_on
        rt.session.rollback()
        clock.set(datetime.combine(cutoff, time(9), UTC) + timedelta(days=1))
        ref = ask_late_for(rt, who, box.public_id, KEEP)
        assert accept_late(rt, who, ref) is LateState.ACCEPTED
        note = every(rt, CreditNote)[number]
        assert note.total_minor == box.net_minor + box.tax_minor
        assert abs(note.tax_minor - box.tax_minor) <= 1
    assert credit(rt) == paid.total_minor
    assert sum(note.tax_minor for note in every(rt, CreditNote)) == paid.tax_minor
    assert broken(rt.session) == {}
    rt.session.rollback()


def test_a_refusal_has_a_reason_and_the_export_ends_what_nobody_decided(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    locked(rt, clock)
    first = ask(rt, sub, KEEP)
    with pytest.raises(WishIncomplete):
        refuse_late(rt, who, first, " ")
    assert refuse_late(rt, who, first, "It is on the van") is LateState.REFUSED
    ask(rt, sub, ELSEWHERE)
    assert run_asked(rt, EXPORT)
    rt.session.rollback()
    states = rt.session.scalars(sa.select(LateChange.state).order_by(LateChange.id)).all()
    rt.session.rollback()
    assert states == ["refused", "expired"]
    assert mailed(rt) == [("refused", 0), ("expired", 0)]
    assert (only(rt, Box).ship_to["street"], credit(rt)) != ("Am Ufer 1", 2600)


def test_of_somebody_who_is_erased_neither_words_nor_address_stay(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    locked(rt, clock)
    refuse_late(rt, who, ask(rt, sub, ELSEWHERE), "Bo is on the van")
    row = rt.session.execute(sa.select(table_of(Customer))).one()
    erase(rt.session, row, rt.moment())
    rt.session.commit()
    wish = only(rt, LateChange)
    assert (wish.address, wish.note, wish.reason) == ({}, "", "-")


def test_accepted_and_exported_in_the_same_moment_it_is_one_of_the_two(
    app: Flask, rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    locked(rt, clock)
    ref, cycle = ask(rt, sub, KEEP), march(rt)

    def act(own: Runtime, number: int) -> None:
        if number:
            export_boxes(own, cycle)
        else:
            _accept(own, who, ref)

    in_parallel(app, 2, act)
    state, box = only(rt, LateChange).state, only(rt, Box)
    if state == "accepted":
        assert (box.state, box.batch_id, credit(rt)) == (BoxState.CANCELED, None, 2600)
    else:
        assert (state, box.state, credit(rt)) == ("expired", BoxState.EXPORTED, 0)
    assert broken(rt.session) == {}
    rt.session.rollback()


def _accept(rt: Runtime, who: Who, ref: str) -> None:
    try:
        accept_late(rt, who, ref)
    except AlreadyDecided:
        rt.session.rollback()


def test_nothing_is_asked_of_what_left_nor_of_what_can_be_changed() -> None:
    cutoff, after = date(2027, 3, 11), date(2027, 3, 12)
    for state in BoxState:
        for has_batch in (False, True):
            here = is_in_the_house(state, has_batch=has_batch)
            assert here == (state in ("planned", "held", "locked") and not has_batch)
            for kind in BoxKind:
                for is_gift in (False, True):
                    told = {"has_batch": has_batch, "is_gift": is_gift}
                    assert kinds_for(kind, state, cutoff, cutoff, **told) == ()
                    found = kinds_for(kind, state, cutoff, after, **told)
                    assert bool(found) == here
                    money = LateKind.KEEP_BACK in found
                    assert money == (here and kind is BoxKind.REGULAR and not is_gift)
