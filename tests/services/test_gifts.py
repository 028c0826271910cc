"""Gift subscriptions: paid once, told on their day, claimed with a code, never lost."""

import re
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.changes import NotChangeable, Wish
from storefront.domain.gifts import NotGivable
from storefront.domain.lifecycle import HoldReason, PeriodKind, SubscriptionState
from storefront.models import (
    Box,
    BoxCycle,
    BoxSkip,
    ChargeAttempt,
    Checkout,
    Customer,
    FulfilmentBatch,
    Gift,
    Invoice,
    Movement,
    OutboxMessage,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.change_facts import read_change
from storefront.operations.gifts import move_unclaimed
from storefront.operations.skips import read_coming
from storefront.queries import account_home, worklists
from storefront.queries.gifts import by_code, given_by
from storefront.queries.invariants import broken
from storefront.services.addresses import OtherCountry as StaysThere
from storefront.services.addresses import PostalAddress, change_address
from storefront.services.checkout import change_delivery
from storefront.services.cycles import close_cycles, plan_ahead
from storefront.services.finishing import Outcome, expire_checkouts
from storefront.services.fulfilment import export_all, exportable_cycles, ship_batch
from storefront.services.gifts import (
    AlreadyClaimed,
    OtherCountry,
    UnknownCode,
    claim,
    run_gifts,
)
from storefront.services.renewals import run_renewals
from storefront.services.retention import blank_old
from storefront.testing.factories import (
    make_group,
    make_plan,
    make_recipe,
    make_variant,
    price_of,
)
from tests.support.gifts import (
    GIVER,
    HOME,
    begin_gift,
    code_of,
    give_back,
    make_gift,
    order_of,
    pay_order,
    subscription_of,
    wish_for,
)

ADA = "ada@example.org"


@pytest.fixture
def plan(rt):
    """A tea box that leaves each month, three months paid in advance: 69.00."""
    plan = make_plan(rt, group=make_group(rt), amount_minor=6900, unit="month", count=3)
    make_recipe(rt, plan, variants=[make_variant(rt, on_hand=100)])
    return plan


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def boxes(rt, gift):
    """Return month and state of the boxes of a gift, in the order they were paid."""
    rows = rt.session.execute(
        sa.select(BoxCycle.key, Box.state)
        .join(Box, Box.cycle_id == BoxCycle.id, full=False)
        .where(Box.subscription_id == gift.subscription_id)
        .order_by(Box.ordinal)
    ).all()
    rt.session.rollback()
    return [(key, state.value) for key, state in rows]


def told(rt, topic):
    rows = rt.session.scalars(
        sa.select(OutboxMessage.payload).where(OutboxMessage.topic == topic)
    ).all()
    rt.session.rollback()
    return list(rows)


def to_day(clock, rt, day):
    clock.advance(days=(day - rt.today()).days)


def exported(rt):
    return [batch for cycle in exportable_cycles(rt) for batch in export_all(rt, cycle)]


def close(rt):
    plan_ahead(rt)
    done = close_cycles(rt)
    exported(rt)
    return done


def test_the_giver_pays_once_and_nothing_is_charged_later(rt, plan, clock, demo_gateway):
    gift = make_gift(rt, plan, wish_for(date(2027, 3, 20)))

    invoice = rt.session.scalars(sa.select(Invoice)).one()
    assert (invoice.total_minor, invoice.due_minor, invoice.payer_id) == (6900, 0, gift.giver_id)
    rt.session.rollback()
    clock.advance(days=200)
    for _ in range(3):
        run_gifts(rt)
        close(rt)
        run_renewals(rt)
        clock.advance(days=40)
    assert demo_gateway.bank.executed_count() == 1
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(ChargeAttempt)) == 1
    rt.session.rollback()
    assert subscription_of(rt, gift).state is SubscriptionState.CANCELED


def test_the_order_of_a_gift_promises_no_later_payment(rt, plan):
    order = order_of(rt, begin_gift(rt, plan, wish_for(date(2027, 4, 1))))

    assert order.quote.items[0].charges == ()
    assert order.quote.items[0].period.start == date(2027, 4, 1)
    assert order.quote.due_today.minor == 6900


def test_the_term_begins_on_the_day_the_giver_chose(rt, plan):
    gift = make_gift(rt, plan, wish_for(date(2027, 4, 20)))

    period = rt.session.scalars(sa.select(SubscriptionPeriod)).one()
    assert (period.kind, period.start_on) == (PeriodKind.GIFT, date(2027, 4, 20))
    assert (period.box_count, period.mrr_minor) == (3, 0)
    rt.session.rollback()
    # The round of April could be changed until the 11th, so May's is the first.
    assert [month for month, _ in boxes(rt, gift)] == ["2027-05", "2027-06", "2027-07"]


def test_a_gift_makes_nobody_a_subscriber(rt, plan):
    make_gift(rt, plan, wish_for(rt.today()))

    assert rt.session.scalars(sa.select(Movement)).all() == []
    rt.session.rollback()


@pytest.mark.parametrize(("days", "reason"), [(-1, "past"), (181, "too_far")])
def test_a_gift_begins_neither_in_the_past_nor_in_a_year(rt, plan, days, reason):
    with pytest.raises(NotGivable) as caught:
        begin_gift(rt, plan, wish_for(rt.today() + timedelta(days=days)))
    assert caught.value.params["reason"] == reason


def test_the_recipient_hears_nothing_before_the_day(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(date(2027, 3, 20)))
    run_gifts(rt)
    assert told(rt, "gift_received") == []
    assert by_code(rt.session, code_of(rt, gift)) is None
    with pytest.raises(UnknownCode):
        claim(rt, code_of(rt, gift), ADA, HOME)

    to_day(clock, rt, date(2027, 3, 20))
    run_gifts(rt)
    run_gifts(rt)

    assert [one["to"] for one in told(rt, "gift_received")] == [ADA]
    assert by_code(rt.session, code_of(rt, gift)).giver == "Ben"
    rt.session.rollback()


def test_only_the_hash_of_the_code_is_kept(rt, plan):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)

    assert code_of(rt, gift) not in str(told(rt, "gift_received"))
    kept = rt.session.scalars(sa.select(Gift.code_hash)).one()
    rt.session.rollback()
    assert code_of(rt, gift).replace("-", "") not in kept


def test_who_holds_the_code_says_where_it_goes(rt, plan):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)

    done = claim(rt, code_of(rt, gift).lower().replace("-", " "), "ada@home.example", HOME)

    owner = subscription_of(rt, gift).customer_id
    assert done.new_customer_id == owner
    assert owner != gift.giver_id
    assert rt.session.get(Customer, owner).email == "ada@home.example"
    rt.session.rollback()
    assert len(told(rt, "gift_claimed")) == 1


def test_a_gift_is_claimed_once(rt, plan):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), ADA, HOME)

    with pytest.raises(AlreadyClaimed):
        claim(rt, code_of(rt, gift), "eve@example.org", {**HOME, "street": "Elsewhere 1"})


def test_the_e_mail_alone_claims_nothing(rt, plan):
    make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)

    with pytest.raises(UnknownCode):
        claim(rt, ADA, ADA, HOME)


def test_a_gift_stays_in_the_country_it_was_paid_for(rt, plan):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    abroad = {**HOME, "country": "FR", "postcode": "75001", "city": "Paris"}
    with pytest.raises(OtherCountry):
        claim(rt, code_of(rt, gift), ADA, abroad)

    done = claim(rt, code_of(rt, gift), ADA, HOME)

    owner = subscription_of(rt, gift).customer_id
    with pytest.raises(StaysThere):
        change_address(rt, owner, done.subscription, PostalAddress(**abroad))


def test_a_gift_box_without_an_address_never_reaches_a_batch_and_is_never_lost(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    months = []
    for _ in range(5):
        months.append([month for month, _ in boxes(rt, gift)])
        clock.advance(days=31)
        run_gifts(rt)
        close(rt)
        run_renewals(rt)
    assert months[0] == ["2027-03", "2027-04", "2027-05"]
    assert {state for _, state in boxes(rt, gift)} == {"planned"}
    assert len(boxes(rt, gift)) == 3
    assert all(len(set(each)) == 3 for each in months)

    claim(rt, code_of(rt, gift), ADA, HOME)
    for _ in range(5):
        clock.advance(days=31)
        run_gifts(rt)
        close(rt)

    assert [state for _, state in boxes(rt, gift)] == ["exported"] * 3


def test_a_box_moves_behind_the_last_one_as_a_skip_that_no_limit_counts(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    to_day(clock, rt, date(2027, 3, 12))

    assert run_gifts(rt).moved == 1
    assert run_gifts(rt).moved == 0

    assert [month for month, _ in boxes(rt, gift)] == ["2027-06", "2027-04", "2027-05"]
    skip = rt.session.scalars(sa.select(BoxSkip)).one()
    assert skip.is_forced
    rt.session.rollback()


def test_on_the_cut_off_day_itself_a_claim_is_in_time(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    to_day(clock, rt, date(2027, 3, 11))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), ADA, HOME)
    to_day(clock, rt, date(2027, 3, 16))
    run_gifts(rt)
    close(rt)

    assert boxes(rt, gift)[0] == ("2027-03", BoxState.EXPORTED.value)


def test_a_claim_after_the_cut_off_is_for_the_boxes_behind_it(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    to_day(clock, rt, date(2027, 3, 12))
    claim(rt, code_of(rt, gift), ADA, HOME)
    to_day(clock, rt, date(2027, 3, 16))
    close(rt)

    assert [month for month, _ in boxes(rt, gift)] == ["2027-06", "2027-04", "2027-05"]
    assert {state for _, state in boxes(rt, gift)} == {"planned"}


def test_the_lock_keeps_a_box_back_where_no_worker_ran_before_it(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    to_day(clock, rt, date(2027, 3, 16))

    done = close(rt)

    assert done.boxes.total == 0
    assert [month for month, _ in boxes(rt, gift)] == ["2027-06", "2027-04", "2027-05"]


def test_who_does_not_answer_is_reminded_once_and_the_giver_hears_of_it(rt, plan, clock):
    make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    for _ in range(3):
        clock.advance(days=7)
        run_gifts(rt)

    assert len(told(rt, "gift_reminder")) == 1
    assert len(told(rt, "gift_unclaimed")) == 1


def test_the_giver_sees_whether_it_was_claimed(rt, plan):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    states = [given_by(rt.session, gift.giver_id)[0].state]
    rt.session.rollback()
    run_gifts(rt)
    states.append(given_by(rt.session, gift.giver_id)[0].state)
    rt.session.rollback()
    claim(rt, code_of(rt, gift), ADA, HOME)
    states.append(given_by(rt.session, gift.giver_id)[0].state)
    rt.session.rollback()

    assert states == ["waiting", "told", "claimed"]
    shown = account_home.home(rt.session, gift.giver_id, rt.moment(), rt.shop.taxes)
    assert shown.subscriptions == ()
    rt.session.rollback()


def test_the_recipient_s_account_names_no_payment(rt, plan):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), ADA, HOME)
    owner = subscription_of(rt, gift).customer_id

    (view,) = account_home.home(rt.session, owner, rt.moment(), rt.shop.taxes).subscriptions

    assert (view.next_charge_on, view.method_ref) == (None, "")
    assert len(view.boxes) == 3
    rt.session.rollback()


def test_a_gift_that_runs_has_nothing_to_be_charged_to(rt, plan):
    other = make_plan(rt, name="Chest", amount_minor=9900, unit="month", count=3)
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    done = claim(rt, code_of(rt, gift), ADA, HOME)
    owner = subscription_of(rt, gift).customer_id
    wish = Wish(price_of(rt, other).public_id)
    with pytest.raises(NotChangeable):
        read_change(rt.session, owner, done.subscription, wish, rt.shop.taxes, rt.moment())
    rt.session.rollback()


def test_a_move_in_any_order_of_rounds_leaves_each_box_a_round_of_its_own(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    clock.advance(days=75)
    moved = move_unclaimed(rt.session, rt.moment())
    rt.session.commit()

    assert moved
    found = [month for month, _ in boxes(rt, gift)]
    assert len(set(found)) == 3
    (coming,) = read_coming(rt.session, sa.true(), rt.today())
    assert all(coming.slots[box.cycle_id].cutoff_on >= rt.today() for box in coming.boxes)
    rt.session.rollback()


def test_the_giver_s_e_mail_is_not_the_recipient_s(rt, plan):
    gift = make_gift(rt, plan, wish_for(rt.today()))

    assert rt.session.get(Customer, gift.giver_id).email == GIVER
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Customer)) == 1
    rt.session.rollback()


def test_what_the_giver_writes_lies_in_the_first_box_that_is_packed(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    to_day(clock, rt, date(2027, 3, 12))
    claim(rt, code_of(rt, gift), ADA, HOME)
    for _ in range(4):
        clock.advance(days=31)
        close(rt)

    rows = rt.session.execute(
        sa.select(Box.packing).join(BoxCycle, BoxCycle.id == Box.cycle_id).order_by(BoxCycle.key)
    )
    notes = [row.packing.get("gift") for row in rows]
    rt.session.rollback()
    assert notes == [{"from": "Ben", "message": "Happy birthday!"}, None, None]


def test_a_dispute_of_the_giver_holds_the_mail_and_the_boxes(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(date(2027, 3, 5)))
    rt.session.execute(
        sa.update(Subscription)
        .where(Subscription.id == gift.subscription_id)
        .values(held_at=rt.now(), hold_reason=HoldReason.DISPUTE)
    )
    rt.session.commit()
    clock.advance(days=4)

    assert run_gifts(rt).told == 0


def test_an_order_that_was_tried_as_a_gift_may_be_paid_for_oneself(rt, plan, demo_gateway):
    key = begin_gift(rt, plan, wish_for(date(2027, 4, 20)))
    assert pay_order(rt, key, card="0002").outcome is Outcome.DECLINED
    change_delivery(rt, key, GIVER, {**HOME, "name": "Ben"})

    assert pay_order(rt, key).outcome is Outcome.DONE

    assert rt.session.scalars(sa.select(Gift)).all() == []
    subscription = rt.session.scalars(sa.select(Subscription)).one()
    assert (subscription.is_gift, subscription.payer_id) == (False, None)
    assert subscription.customer_id is not None
    assert rt.session.scalars(sa.select(SubscriptionPeriod.kind)).one() is PeriodKind.BILLED
    rt.session.rollback()


def test_what_nobody_claims_for_a_month_is_on_the_staff_s_list(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    clock.advance(days=29)
    assert worklists.counts(rt.session, rt.moment(), "EUR")["gifts"].count == 0
    rt.session.rollback()
    clock.advance(days=1)

    (row,) = worklists.listed(rt.session, "gifts", rt.moment())
    rt.session.rollback()
    assert (row.name, row.about) == ("Ben", "Pot → ada@example.org")
    run_gifts(rt)
    claim(rt, code_of(rt, gift), ADA, HOME)
    assert worklists.counts(rt.session, rt.moment(), "EUR")["gifts"].count == 0
    rt.session.rollback()


def test_a_refund_before_the_claim_takes_the_boxes_back_and_the_code_opens_nothing(rt, plan):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)

    give_back(rt, gift)

    assert {state for _, state in boxes(rt, gift)} == {"canceled"}
    assert by_code(rt.session, code_of(rt, gift)) is None
    rt.session.rollback()
    with pytest.raises(UnknownCode):
        claim(rt, code_of(rt, gift), ADA, HOME)


def test_who_was_to_get_it_is_forgotten_once_nobody_can_claim_it(rt, plan, clock):
    begin_gift(rt, plan, wish_for(rt.today(), email="cleo@example.org"))
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    clock.advance(days=91)
    # While it can be claimed, it keeps whom it is for.
    assert blank_old(rt)["gifts"] == 0
    give_back(rt, gift)
    assert expire_checkouts(rt) == 1

    assert (blank_old(rt)["gifts"], blank_old(rt)["gifts"]) == (1, 0)
    for model in (Gift, Checkout, OutboxMessage):
        rows = str([tuple(row) for row in rt.session.execute(sa.select(table_of(model)))])
        assert not {"ada@example.org", "cleo@example.org"} & set(re.findall(r"[\w.]+@[\w.]+", rows))
    rt.session.rollback()


def test_a_refund_to_the_giver_takes_no_box_back_that_has_left(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), ADA, HOME)
    to_day(clock, rt, date(2027, 3, 16))
    close(rt)
    (batch,) = rt.session.scalars(sa.select(FulfilmentBatch.public_id)).all()
    rt.session.rollback()
    ship_batch(rt, batch)

    give_back(rt, gift)

    assert [state for _, state in boxes(rt, gift)] == ["shipped", "canceled", "canceled"]


def test_a_gift_that_nobody_claimed_is_not_called_cancelled_at_the_desk(rt, plan, clock):
    make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    clock.advance(days=60)
    run_gifts(rt)
    rows = worklists.listed(rt.session, "gifts", rt.moment())
    rt.session.rollback()
    assert [row.state for row in rows] == ["gift_waits"]
