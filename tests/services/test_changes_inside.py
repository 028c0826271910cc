"""Changes inside a paid period, told on a real database with the demo gateway."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront.adapters import failpoints
from storefront.charges import look_up, look_up_open
from storefront.domain.boxes import BoxState
from storefront.domain.changes import NotChangeable, QuoteChanged, Wish
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.models import (
    Box,
    ChargeAttempt,
    CycleGroup,
    Invoice,
    InvoiceLine,
    Redemption,
    Refund,
    ScheduledChange,
    Subscription,
    SubscriptionDiscount,
    SubscriptionPeriod,
)
from storefront.queries.invariants import broken
from storefront.services.changes import change, quote_change, withdraw
from storefront.testing import factories
from tests.support.changing import (
    AGREED,
    boxes_sent,
    bring_card,
    deferred_is_what_is_to_come,
    fresh,
    go,
    live_boxes,
    one,
    wish_of,
)
from tests.support.days import renew_until


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    failpoints.arm("")
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def group(rt):
    return factories.make_group(rt, cycles=40)


@pytest.fixture
def forty(rt, group):
    return factories.make_plan(rt, group=group, amount_minor=4000, unit="year")


@pytest.fixture
def sixty(rt, group, forty):
    return factories.make_plan(rt, group=group, amount_minor=6000, unit="year", name="Big pot")


@pytest.fixture
def sub(rt, forty):
    return factories.make_subscription(rt, plan=forty)


def test_forty_a_year_to_sixty_with_three_boxes_sent_restarts_for_thirty(
    rt, sub, sixty, clock, demo_gateway
):
    boxes_sent(clock, 3)

    quote, done = go(rt, sub, sixty, when="restart")

    assert (quote.how, quote.credit.minor, quote.due_today.minor) == ("restart", 3000, 3000)
    assert done.outcome == "applied"
    assert demo_gateway.bank.executed_total("EUR") == 7000
    old, new = fresh(rt, SubscriptionPeriod)
    today = date(2027, 5, 20)
    assert (old.start_on, old.end_on, new.start_on) == (date(2027, 3, 2), today, today)
    assert (new.end_on, new.billed_number, old.box_count) == (date(2028, 5, 20), 2, 3)
    assert [box.plan_id for box in live_boxes(rt, old)] == [sub.plan_id] * 3
    assert sum(box.net_minor + box.tax_minor for box in live_boxes(rt, old)) == 1000
    fed = live_boxes(rt, new)
    assert (len(fed), {box.plan_id for box in fed}) == (12, {sixty.id})
    assert sum(box.net_minor + box.tax_minor for box in fed) == 6000
    row = one(rt, Subscription, sub.id)
    assert (row.plan_id, row.next_on, row.billed_count) == (sixty.id, new.end_on, 2)
    assert row.boxes_billed == 3 + 12
    deferred_is_what_is_to_come(rt)


def test_boxes_too_many_for_a_shorter_term_are_canceled_and_their_cycles_free(
    rt, group, sub, clock
):
    short = factories.make_plan(rt, group=group, amount_minor=6000, count=3)
    boxes_sent(clock, 3)
    quote, _ = go(rt, sub, short)

    assert quote.due_today.minor == 3000
    gone = fresh(rt, Box, Box.state == BoxState.CANCELED)
    assert len(gone) == 6
    assert {(box.net_minor, box.tax_minor) for box in gone} == {(0, 0)}
    kept = [box.cycle_id for box in fresh(rt, Box, Box.state != BoxState.CANCELED)]
    assert len(set(kept)) == len(kept) == 6
    deferred_is_what_is_to_come(rt)


def test_a_declined_restart_leaves_everything_as_it_was(rt, sub, sixty, clock, demo_gateway):
    boxes_sent(clock, 3)
    bring_card(rt, demo_gateway, "0002")
    before = [(box.id, box.period_id, box.cycle_id, box.net_minor) for box in fresh(rt, Box)]

    _, done = go(rt, sub, sixty, when="restart")

    assert done.outcome == "declined"
    (period,) = fresh(rt, SubscriptionPeriod)
    assert (period.end_on, period.box_count) == (sub.next_on, 12)
    row = one(rt, Subscription, sub.id)
    assert (row.plan_id, row.next_on, row.anchor_on) == (sub.plan_id, sub.next_on, sub.anchor_on)
    assert row.renews_at is not None
    after = [(box.id, box.period_id, box.cycle_id, box.net_minor) for box in fresh(rt, Box)]
    assert before == after
    assert [line.credited_minor for line in fresh(rt, InvoiceLine)] == [0, 0, 0]


def test_the_same_interval_keeps_the_period_and_pays_for_the_boxes_left(
    rt, sub, sixty, clock, demo_gateway
):
    boxes_sent(clock, 3)

    quote, done = go(rt, sub, sixty)

    assert (quote.how, quote.boxes, done.outcome) == ("adjust", 9, "applied")
    assert (quote.credit.minor, quote.due_today.minor) == (3000, 1500)
    (period,) = fresh(rt, SubscriptionPeriod)
    assert (period.end_on, period.box_count, period.plan_id) == (sub.next_on, 12, sixty.id)
    row = one(rt, Subscription, sub.id)
    assert (row.next_on, row.anchor_on, row.plan_id) == (sub.next_on, sub.anchor_on, sixty.id)
    plans = [box.plan_id for box in live_boxes(rt, period)]
    assert plans == [sub.plan_id] * 3 + [sixty.id] * 9
    deferred_is_what_is_to_come(rt)


def test_a_second_change_credits_what_the_first_one_charged_and_no_more(
    rt, sub, group, sixty, clock, demo_gateway
):
    boxes_sent(clock, 3)
    go(rt, sub, sixty)
    clock.advance(days=31)
    dearest = factories.make_plan(rt, group=group, amount_minor=9000, unit="year")

    quote, _ = go(rt, sub, dearest)

    # Three boxes at 40/12, one at 60/12, eight at 90/12.
    assert (quote.credit.minor, quote.due_today.minor) == (4000, 2000)
    assert demo_gateway.bank.executed_total("EUR") == 1000 + 500 + 6000
    paid, first, second = (
        fresh(rt, InvoiceLine, InvoiceLine.kind == kind)
        for kind in (LineKind.PLAN, LineKind.PRORATION_CHARGE, LineKind.PRORATION_CREDIT)
    )
    assert [line.credited_minor for line in paid] == [3000]
    assert [line.credited_minor for line in first] == [4000, 0]
    assert [line.corrects_line_id for line in second] == [paid[0].id, first[0].id]
    deferred_is_what_is_to_come(rt)


def test_the_renewal_after_a_change_charges_the_new_plan_on_the_old_day(
    rt, group, clock, demo_gateway
):
    plan = factories.make_plan(rt, group=group, amount_minor=7800, count=3)
    more = factories.make_plan(rt, group=group, amount_minor=9900, count=3)
    sub = factories.make_subscription(rt, plan=plan)
    boxes_sent(clock, 1)
    quote, _ = go(rt, sub, more)
    assert quote.next_charge_on == date(2027, 6, 12)
    renew_until(rt, clock, date(2027, 6, 13))

    assert fresh(rt, Invoice)[-1].total_minor == 9900
    assert one(rt, Subscription, sub.id).plan_id == more.id


def test_nothing_left_to_change_waits_for_the_boundary(rt, group, clock):
    sub = factories.make_subscription(rt, plan=factories.make_plan(rt, group=group))
    more = factories.make_plan(rt, group=group, amount_minor=3000)
    boxes_sent(clock, 1)

    quote, done = go(rt, sub, more)

    assert (quote.how, quote.due_today.minor, done.outcome) == ("wait", 0, "scheduled")


def test_a_downgrade_waits_and_can_be_taken_back(rt, group, sub, clock):
    less = factories.make_plan(rt, group=group, amount_minor=3000, unit="year")
    boxes_sent(clock, 3)

    quote, done = go(rt, sub, less)

    assert (quote.how, quote.effective_on, done.outcome) == ("wait", date(2028, 3, 12), "scheduled")
    assert len(fresh(rt, Invoice)) == 1
    assert withdraw(rt, sub.customer_id, sub.public_id)


POLICIES = [("days", 20000, 40000), ("full", 36600, 73200), ("boxes", 20000, 40000)]


@pytest.mark.parametrize(("policy", "credit", "charge"), POLICIES)
def test_what_ships_nothing_is_settled_by_days_or_in_full(rt, clock, policy, credit, charge):
    plan = factories.make_plan(
        rt, amount_minor=36600, unit="year", ships=False, change_policy=policy
    )
    more = factories.make_plan(rt, amount_minor=73200, unit="year", ships=False)
    sub = factories.make_subscription(rt, plan=plan)
    clock.advance(days=166)

    quote, done = go(rt, sub, more)

    assert (quote.how, done.outcome) == ("adjust", "applied")
    assert (quote.credit.minor, quote.due_today.minor) == (credit, charge - credit)


def test_a_plan_that_settles_nothing_changes_at_the_boundary_only(rt, group, clock):
    plan = factories.make_plan(
        rt, group=group, amount_minor=4000, unit="year", change_policy="none"
    )
    sub = factories.make_subscription(rt, plan=plan)
    more = factories.make_plan(rt, group=group, amount_minor=9000, unit="year")
    quote, done = go(rt, sub, more)
    assert (quote.how, quote.due_today.minor, done.outcome) == ("wait", 0, "scheduled")


def test_more_of_the_same_from_the_next_box_on(rt, sub, clock):
    boxes_sent(clock, 3)

    quote, done = go(rt, sub, quantity=2)

    assert (quote.how, quote.due_today.minor, done.outcome) == ("adjust", 3000, "applied")
    assert [box.quantity for box in fresh(rt, Box)] == [1] * 3 + [2] * 9
    assert one(rt, Subscription, sub.id).quantity == 2


def test_more_from_the_next_payment_on_is_charged_then(rt, group, clock):
    sub = factories.make_subscription(rt, plan=factories.make_plan(rt, group=group))
    quote, done = go(rt, sub, quantity=3, when="boundary")
    assert (quote.amount.minor, quote.due_today.minor, done.outcome) == (7800, 0, "scheduled")
    assert one(rt, Subscription, sub.id).quantity == 1
    renew_until(rt, clock, date(2027, 4, 13))

    assert fresh(rt, Invoice)[-1].total_minor == 7800
    assert one(rt, Subscription, sub.id).quantity == 3
    assert [box.quantity for box in fresh(rt, Box)] == [1, 3]


def test_a_dearer_answer_is_paid_for_the_boxes_left(rt, group, clock):
    plan = factories.make_plan(rt, group=group, amount_minor=7800, count=3)
    factories.make_options(rt, plan, code="size", choices=[("s", "S", 0), ("l", "L", 400)])
    sub = factories.make_subscription(rt, plan=plan, options={"size": "s"})
    boxes_sent(clock, 1)

    quote, done = go(rt, sub, options={"size": "l"})

    assert (quote.due_today.minor, done.outcome) == (800, "applied")
    assert [box.options["size"] for box in fresh(rt, Box)] == ["s", "l", "l"]


def test_an_answer_that_is_not_offered_or_missing_is_refused(rt, group):
    plan = factories.make_plan(rt, group=group)
    factories.make_options(rt, plan)
    sub = factories.make_subscription(rt, plan=plan, options={"taste": "mild"})
    other = factories.make_plan(rt, group=group, amount_minor=2700)
    factories.make_options(rt, other, code="size", choices=[("s", "S", 0)])
    for wish in (
        wish_of(rt, sub, options={"taste": "bitter"}),
        # It costs the same, so it is a preference.
        wish_of(rt, sub, options={"taste": "strong"}),
        wish_of(rt, sub, other),
        wish_of(rt, sub, quantity=0),
        wish_of(rt, sub, quantity=1000),
    ):
        with pytest.raises(NotChangeable):
            quote_change(rt, sub.customer_id, sub.public_id, wish)


def test_the_discount_of_the_period_stays_with_it(rt, group, clock):
    plan = factories.make_plan(rt, group=group, amount_minor=7800, count=3)
    more = factories.make_plan(rt, group=group, amount_minor=9000, count=3)
    factories.make_code(rt, "HALF", duration="once", percent_bp=5000)
    sub = factories.make_subscription(rt, plan=plan, code="HALF")
    boxes_sent(clock, 1)

    quote, _ = go(rt, sub, more)

    assert (quote.credit.minor, quote.due_today.minor) == (2600, 400)
    assert len(fresh(rt, Redemption)) == 1


def test_a_restart_takes_one_cycle_of_a_discount(rt, group, clock):
    plan = factories.make_plan(rt, group=group)
    yearly = factories.make_price(rt, plan, amount_minor=28080, unit="year")
    factories.make_code(rt, "THREE", duration="cycles", duration_cycles=3)
    sub = factories.make_subscription(rt, plan=plan, code="THREE")
    clock.advance(days=3)
    wish = Wish(yearly.public_id)
    quote = quote_change(rt, sub.customer_id, sub.public_id, wish)
    change(rt, sub.customer_id, sub.public_id, wish, quote.quote_hash, AGREED)

    assert quote.due_today.minor == 25272 - 2340
    assert fresh(rt, SubscriptionDiscount)[0].cycles_left == 1


@pytest.mark.parametrize("when", ["now", "restart"])
def test_on_the_day_of_the_order_a_once_code_stays_with_the_period(rt, group, forty, sixty, when):
    factories.make_code(rt, "HALF", duration="once", percent_bp=5000)
    sub = factories.make_subscription(rt, plan=forty, code="HALF")

    quote, done = go(rt, sub, sixty, when=when)

    assert (quote.credit.minor, quote.due_today.minor) == (2000, 1000)
    assert done.outcome == "applied"
    assert len(fresh(rt, Redemption)) == 1
    assert fresh(rt, SubscriptionDiscount)[0].cycles_left == 0


def test_a_period_priced_anew_on_its_first_day_spends_no_second_cycle(rt, group):
    plan = factories.make_plan(rt, group=group)
    yearly = factories.make_price(rt, plan, amount_minor=28080, unit="year")
    factories.make_code(rt, "THREE", duration="cycles", duration_cycles=3)
    sub = factories.make_subscription(rt, plan=plan, code="THREE")
    wish = Wish(yearly.public_id)
    quote = quote_change(rt, sub.customer_id, sub.public_id, wish)
    change(rt, sub.customer_id, sub.public_id, wish, quote.quote_hash, AGREED)

    assert quote.due_today.minor == 25272 - 2340
    assert fresh(rt, SubscriptionDiscount)[0].cycles_left == 2


def test_the_introductory_price_of_the_running_box_stays_with_more_of_it(rt, group):
    plan = factories.make_plan(rt, group=group, amount_minor=None)
    factories.make_price(rt, plan, phases=[{"boxes": 1, "amount_minor": 900}])
    sub = factories.make_subscription(rt, plan=plan)

    quote, _ = go(rt, sub, quantity=2)

    assert (quote.credit.minor, quote.due_today.minor, quote.amount.minor) == (900, 900, 5200)


def test_a_box_packed_while_the_bank_thinks_makes_the_payment_surplus(
    rt, sub, sixty, clock, demo_gateway
):
    boxes_sent(clock, 3)
    bring_card(rt, demo_gateway, "0408")
    _, done = go(rt, sub, sixty)
    assert done.outcome == "waiting"
    box = fresh(rt, Box)[3]
    rt.session.execute(sa.update(Box).where(Box.id == box.id).values(state=BoxState.LOCKED))
    rt.session.commit()

    look_up(rt, fresh(rt, ChargeAttempt)[-1].id)

    assert one(rt, Subscription, sub.id).plan_id == sub.plan_id
    assert fresh(rt, Refund)[0].amount_minor == 1500
    assert fresh(rt, Invoice)[-1].state is InvoiceState.DISCARDED
    assert one(rt, Subscription, sub.id).renews_at is not None


def test_the_second_of_two_changes_sees_what_the_first_one_did(rt, sub, sixty, clock):
    boxes_sent(clock, 3)
    wish = wish_of(rt, sub, sixty)
    first = quote_change(rt, sub.customer_id, sub.public_id, wish)
    more = wish_of(rt, sub, quantity=2)
    second = quote_change(rt, sub.customer_id, sub.public_id, more)

    change(rt, sub.customer_id, sub.public_id, wish, first.quote_hash, AGREED)
    with pytest.raises(QuoteChanged):
        change(rt, sub.customer_id, sub.public_id, more, second.quote_hash, AGREED)
    with pytest.raises(NotChangeable):
        change(rt, sub.customer_id, sub.public_id, wish, first.quote_hash, AGREED)

    assert len(fresh(rt, ChargeAttempt)) == 2


def test_a_preview_of_the_day_before_a_cut_off_is_shown_again_after_it(rt, sub, sixty, clock):
    wish = wish_of(rt, sub, sixty)
    shown = quote_change(rt, sub.customer_id, sub.public_id, wish)
    clock.advance(days=10)
    with pytest.raises(QuoteChanged):
        change(rt, sub.customer_id, sub.public_id, wish, shown.quote_hash, AGREED)
    assert fresh(rt, ScheduledChange) == []


def test_a_fault_before_the_commit_leaves_nothing(rt, sub, sixty, clock):
    boxes_sent(clock, 3)
    failpoints.arm("change.before_commit:raise")
    with pytest.raises(failpoints.FailpointReached):
        go(rt, sub, sixty)
    rt.session.rollback()

    assert fresh(rt, ScheduledChange) == []
    assert len(fresh(rt, Invoice)) == len(fresh(rt, ChargeAttempt)) == 1
    assert one(rt, Subscription, sub.id).renews_at is not None


def test_a_charge_that_was_never_handed_over_is_asked_again_and_paid_once(
    rt, sub, sixty, clock, demo_gateway
):
    boxes_sent(clock, 3)
    failpoints.arm("change.after_sent:raise")
    with pytest.raises(failpoints.FailpointReached):
        go(rt, sub, sixty)
    failpoints.arm("")
    rt.session.rollback()
    assert one(rt, Subscription, sub.id).plan_id == sub.plan_id
    clock.advance(minutes=30)
    look_up_open(rt)

    assert fresh(rt, ScheduledChange)[0].state == "applied"
    assert one(rt, Subscription, sub.id).plan_id == sixty.id
    assert demo_gateway.bank.executed_total("EUR") == 4000 + 1500


def test_a_member_who_goes_monthly_to_yearly_gets_the_days_back(rt, clock):
    plan = factories.make_plan(rt, amount_minor=3100, ships=False)
    yearly = factories.make_price(rt, plan, amount_minor=30000, unit="year")
    sub = factories.make_subscription(rt, plan=plan)
    clock.advance(days=10)
    wish = Wish(yearly.public_id)
    quote = quote_change(rt, sub.customer_id, sub.public_id, wish)
    done = change(rt, sub.customer_id, sub.public_id, wish, quote.quote_hash, AGREED)

    assert (quote.how, quote.credit.minor, done.outcome) == ("restart", 2100, "applied")
    old, new = fresh(rt, SubscriptionPeriod)
    assert (old.end_on, new.end_on) == (date(2027, 3, 12), date(2028, 3, 12))
    assert one(rt, Subscription, sub.id).next_on == new.end_on


def test_another_group_of_cycles_is_joined_as_an_order_of_today_would(rt, sub, clock):
    weekly = factories.make_group(
        rt, unit="week", charge_day=None, cutoff_days=2, lock_days=0, ship_days=1, cycles=80
    )
    plan = factories.make_plan(
        rt, group=weekly, amount_minor=9000, unit="month", shipping_unit="month"
    )
    boxes_sent(clock, 1)

    quote, done = go(rt, sub, plan)

    assert (quote.how, done.outcome) == ("restart", "applied")
    new = fresh(rt, SubscriptionPeriod)[-1]
    (box,) = live_boxes(rt, new)
    assert box.cycle_id is not None
    assert rt.session.get(CycleGroup, weekly.id) is not None
    assert new.start_on - old_end(rt) == timedelta(0)


def old_end(rt):
    return fresh(rt, SubscriptionPeriod)[0].end_on
