"""Pausing and coming back: before, on and after a renewal, in a term, with money open."""

import contextlib
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.charges import look_up_open
from storefront.database import reading
from storefront.demo.shopping import replace_card, tokens_of
from storefront.domain.errors import DomainError
from storefront.domain.events import EventKind
from storefront.domain.lifecycle import PeriodKind, SubscriptionState
from storefront.domain.pauses import NotPausable, NotResumable
from storefront.models import (
    Box,
    BoxCycle,
    Invoice,
    Movement,
    Subscription,
    SubscriptionEvent,
    SubscriptionPeriod,
)
from storefront.queries.account import subscription as account_view
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.dunning import chase_due
from storefront.services.methods import pay_now
from storefront.services.pauses import drop_pause, pause, quote_pause, quote_resume, resume
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.cards import LOST
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.days import renew_until


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Ordered on 2 March; its box leaves on 18 March, it renews on the 12th of each month."""
    return make.make_subscription(rt)


def periods(rt: Runtime) -> list[tuple[str, date, date]]:
    rows = rt.session.execute(
        sa.select(
            SubscriptionPeriod.kind, SubscriptionPeriod.start_on, SubscriptionPeriod.end_on
        ).order_by(SubscriptionPeriod.number)
    ).all()
    rt.session.rollback()
    return [(PeriodKind(row.kind).value, row.start_on, row.end_on) for row in rows]


def state(rt: Runtime) -> str:
    found = rt.session.scalar(sa.select(Subscription.state))
    rt.session.rollback()
    return SubscriptionState(found).value


def ships(rt: Runtime) -> list[str]:
    """Return the cycles in which the boxes stand, by key."""
    rows = rt.session.scalars(
        sa.select(BoxCycle.key).join(Box, Box.cycle_id == BoxCycle.id).order_by(BoxCycle.ship_from)
    ).all()
    rt.session.rollback()
    return list(rows)


def events(rt: Runtime) -> list[str]:
    rows = rt.session.scalars(
        sa.select(SubscriptionEvent.kind).order_by(SubscriptionEvent.id)
    ).all()
    rt.session.rollback()
    return [row for row in rows if row.startswith("subscription.pause") or "resumed" in row]


def me(sub: Subscription) -> tuple[int, str]:
    return sub.customer_id or 0, sub.public_id


def test_a_pause_of_two_boxes_charges_nothing_and_goes_on_by_itself(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
):
    quote = pause(rt, *me(sub), date(2027, 6, 12))
    assert (quote.stands, quote.starts_on, quote.resumes_on) == (
        "planned",
        date(2027, 4, 12),
        date(2027, 6, 12),
    )

    renew_until(rt, clock, date(2027, 6, 11))
    assert state(rt) == "paused"
    assert demo_gateway.bank.executed_count() == 1

    renew_until(rt, clock, date(2027, 6, 12))

    assert (state(rt), demo_gateway.bank.executed_count()) == ("active", 2)
    assert periods(rt)[2:] == [
        ("paused", date(2027, 4, 12), date(2027, 6, 12)),
        ("billed", date(2027, 6, 12), date(2027, 7, 12)),
    ]
    assert ships(rt) == ["2027-03", "2027-06"]
    assert events(rt) == [
        EventKind.SUBSCRIPTION_PAUSE_PLANNED,
        EventKind.SUBSCRIPTION_PAUSED,
        EventKind.SUBSCRIPTION_RESUMED,
    ]


def test_the_value_of_a_paused_subscriber_goes_and_comes_back_when_paid(
    rt: Runtime, clock: FrozenClock, sub: Subscription
):
    pause(rt, *me(sub), date(2027, 5, 12))
    renew_until(rt, clock, date(2027, 5, 12))

    rows = rt.session.execute(sa.select(Movement.kind, Movement.delta_minor).order_by(Movement.id))
    assert [tuple(row) for row in rows] == [
        ("new", 2185),
        ("contraction", -2185),
        ("expansion", 2185),
    ]


def test_any_day_is_taken_as_the_next_boundary(rt: Runtime, sub: Subscription):
    assert pause(rt, *me(sub), date(2027, 5, 1)).resumes_on == date(2027, 5, 12)


def test_the_account_shows_the_charge_after_the_pause(rt: Runtime, sub: Subscription):
    pause(rt, *me(sub), date(2027, 6, 12))

    with reading():
        view = account_view(rt.session, *me(sub), rt.moment(), rt.shop.taxes)
        rt.session.rollback()

    assert view is not None
    assert (view.next_charge_on, view.next_box and view.next_box.ship_from) == (
        date(2027, 6, 12),
        date(2027, 3, 18),
    )


def test_a_pause_that_has_not_begun_is_taken_back(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
):
    pause(rt, *me(sub), None)

    assert drop_pause(rt, *me(sub))
    assert not drop_pause(rt, *me(sub))

    renew_until(rt, clock, date(2027, 4, 12))
    assert demo_gateway.bank.executed_count() == 2


def test_a_pause_changes_its_end_before_and_after_it_began(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
):
    pause(rt, *me(sub), date(2027, 6, 12))
    assert pause(rt, *me(sub), date(2027, 5, 12)).resumes_on == date(2027, 5, 12)
    renew_until(rt, clock, date(2027, 4, 20))

    assert pause(rt, *me(sub), date(2027, 7, 12)).resumes_on == date(2027, 7, 12)

    renew_until(rt, clock, date(2027, 7, 12))
    assert demo_gateway.bank.executed_count() == 2
    assert periods(rt)[2] == ("paused", date(2027, 4, 12), date(2027, 7, 12))


def test_a_pause_that_runs_may_be_left_open(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
):
    pause(rt, *me(sub), date(2027, 5, 12))
    renew_until(rt, clock, date(2027, 4, 20))

    assert pause(rt, *me(sub), None).resumes_on is None

    renew_until(rt, clock, date(2027, 8, 20))
    assert (state(rt), demo_gateway.bank.executed_count()) == ("paused", 1)
    assert resume(rt, *me(sub)) == date(2027, 9, 12)


@pytest.mark.parametrize("day", [date(2027, 4, 11), date(2027, 4, 12)])
def test_a_pause_before_or_on_the_day_of_the_renewal_spares_it(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway, day: date
):
    renew_until(rt, clock, date(2027, 4, 11))
    clock.set(datetime(day.year, day.month, day.day, 9, 0, tzinfo=UTC))

    pause(rt, *me(sub), date(2027, 5, 12))

    renew_until(rt, clock, date(2027, 5, 11))
    assert demo_gateway.bank.executed_count() == 1
    renew_until(rt, clock, date(2027, 5, 12))
    assert demo_gateway.bank.executed_count() == 2


def test_a_pause_after_the_renewal_begins_behind_the_paid_time(
    rt: Runtime, clock: FrozenClock, sub: Subscription, demo_gateway: DemoGateway
):
    renew_until(rt, clock, date(2027, 4, 13))

    assert pause(rt, *me(sub), date(2027, 6, 12)).starts_on == date(2027, 5, 12)

    renew_until(rt, clock, date(2027, 6, 11))
    assert (demo_gateway.bank.executed_count(), ships(rt)) == (2, ["2027-03", "2027-04"])


@pytest.mark.parametrize(
    ("comes_back", "goes_on"),
    [
        (date(2027, 4, 12), date(2027, 4, 12)),
        (date(2027, 4, 13), date(2027, 5, 12)),
        (date(2027, 5, 12), date(2027, 5, 12)),
        (date(2027, 7, 1), date(2027, 7, 12)),
    ],
)
@pytest.mark.parametrize("until", [None, date(2027, 9, 12)])
def test_coming_back_keeps_the_grid_and_bills_no_paused_day(
    rt: Runtime,
    clock: FrozenClock,
    sub: Subscription,
    demo_gateway: DemoGateway,
    comes_back: date,
    goes_on: date,
    until: date | None,
):
    pause(rt, *me(sub), until)
    renew_until(rt, clock, comes_back)

    assert resume(rt, *me(sub)) == goes_on
    renew_until(rt, clock, goes_on)
    run_renewals(rt)

    found = periods(rt)
    assert found[-1][:2] == ("billed", goes_on)
    assert [one for one in found if one[0] == "billed"] == [found[0], found[-1]]
    assert (state(rt), demo_gateway.bank.executed_count()) == ("active", 2)


def test_on_a_calendar_nobody_restarts_today(rt: Runtime, clock: FrozenClock, sub: Subscription):
    pause(rt, *me(sub), None)
    renew_until(rt, clock, date(2027, 4, 20))

    assert quote_resume(rt, *me(sub)).why_not_today == "calendar"
    with pytest.raises(NotResumable):
        resume(rt, *me(sub), today=True)


@pytest.fixture
def rolling(rt: Runtime) -> Subscription:
    """Packed every week; ordered on 2 March, so it renews on the 2nd."""
    group = make.make_group(
        rt,
        unit="week",
        charge_day=None,
        anchor_on=date(2027, 2, 25),
        cycles=60,
        cutoff_days=1,
        lock_days=0,
        ship_days=1,
    )
    return make.make_subscription(rt, plan=make.make_plan(rt, group=group))


@pytest.mark.parametrize("until", [None, date(2027, 9, 2)])
@pytest.mark.parametrize("comes_back", [date(2027, 4, 2), date(2027, 4, 20), date(2027, 7, 15)])
def test_a_restart_today_is_charged_today_and_has_a_new_grid(
    rt: Runtime,
    clock: FrozenClock,
    rolling: Subscription,
    demo_gateway: DemoGateway,
    comes_back: date,
    until: date | None,
):
    pause(rt, *me(rolling), until)
    renew_until(rt, clock, comes_back)

    assert resume(rt, *me(rolling), today=True) == comes_back
    run_renewals(rt)

    assert demo_gateway.bank.executed_count() == 2
    kind, start, end = periods(rt)[-1]
    assert (kind, start, end.day, state(rt)) == ("billed", comes_back, comes_back.day, "active")
    assert comes_back not in [one[1] for one in periods(rt)[:-1]]


def test_paid_boxes_of_a_term_ship_during_a_pause(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    plan = make.make_plan(rt, count=3)
    sub = make.make_subscription(rt, plan=plan)

    quote = pause(rt, *me(sub), date(2027, 8, 12))

    assert (quote.starts_on, len(quote.boxes)) == (date(2027, 6, 12), 3)
    assert ships(rt) == ["2027-03", "2027-04", "2027-05"]


def test_paid_boxes_held_back_come_after_the_pause_and_lengthen_the_term(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    plan = make.make_plan(rt, count=3)
    sub = make.make_subscription(rt, plan=plan)

    pause(rt, *me(sub), date(2027, 8, 12), hold_boxes=True)
    assert ships(rt) == ["2027-08", "2027-09", "2027-10"]

    renew_until(rt, clock, date(2027, 11, 11))
    assert demo_gateway.bank.executed_count() == 1
    renew_until(rt, clock, date(2027, 11, 12))
    assert demo_gateway.bank.executed_count() == 2


def test_boxes_are_held_back_only_where_the_end_is_known(rt: Runtime, sub: Subscription):
    with pytest.raises(NotPausable, match="hold_open"):
        pause(rt, *me(sub), None, hold_boxes=True)


def past_due(rt: Runtime, clock: FrozenClock, policy: str) -> Subscription:
    made = make.make_subscription(rt, plan=make.make_plan(rt, pause_unpaid=policy), card="0341")
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    return made


def test_what_is_unpaid_is_credited_and_its_days_are_paused(rt: Runtime, clock: FrozenClock):
    sub = past_due(rt, clock, "credit")
    quote = quote_pause(rt, *me(sub))
    assert (quote.drops_unpaid, quote.starts_on) == (True, date(2027, 4, 12))

    pause(rt, *me(sub), date(2027, 6, 12))

    assert state(rt) == "paused"
    row = rt.session.execute(sa.select(Subscription.__table__)).one()
    assert (row.billed_count, row.boxes_billed, row.mrr_minor) == (1, 1, 0)
    assert rt.session.scalar(sa.select(Invoice.state).order_by(Invoice.id.desc()).limit(1)) == (
        "void"
    )
    rt.session.rollback()
    renew_until(rt, clock, date(2027, 6, 12))
    assert [one[1] for one in periods(rt)][-1] == date(2027, 6, 12)


def test_what_is_unpaid_stays_owed_where_the_plan_keeps_it(rt: Runtime, clock: FrozenClock):
    sub = past_due(rt, clock, "keep")

    quote = pause(rt, *me(sub), date(2027, 6, 12))

    assert (state(rt), quote.drops_unpaid, quote.starts_on) == (
        "past_due",
        False,
        date(2027, 5, 12),
    )
    assert quote.unpaid is not None


@pytest.mark.parametrize("until", [None, date(2027, 6, 12)])
def test_leaving_during_a_pause_ends_it_at_once(
    rt: Runtime, clock: FrozenClock, sub: Subscription, until: date | None
):
    pause(rt, *me(sub), until)
    renew_until(rt, clock, date(2027, 4, 20))

    assert cancel(rt, *me(sub)).at_once
    assert state(rt) == "canceled"


def test_somebody_who_leaves_does_not_pause(rt: Runtime, sub: Subscription):
    cancel(rt, *me(sub))
    with pytest.raises(NotPausable, match="cancelled"):
        pause(rt, *me(sub), None)


def test_a_day_in_the_past_is_no_end(rt: Runtime, sub: Subscription):
    with pytest.raises(NotPausable, match="past"):
        pause(rt, *me(sub), date(2027, 4, 12))


def in_flight(rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway) -> Subscription:
    """Return a subscription whose renewal of 12 April was taken, but the answer got lost."""
    made = make.make_subscription(rt)
    demo_gateway.bank.script(tokens_of(rt, [made.customer_id or 0])[made.customer_id or 0], [LOST])
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    return made


def test_a_charge_on_its_way_decides_by_itself_and_the_pause_begins_behind_it(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    sub = in_flight(rt, clock, demo_gateway)

    quote = pause(rt, *me(sub), date(2027, 6, 12))
    assert (quote.drops_unpaid, quote.starts_on) == (False, date(2027, 5, 12))
    clock.advance(minutes=6)
    look_up_open(rt)

    assert (state(rt), ships(rt)) == ("active", ["2027-03", "2027-04"])
    renew_until(rt, clock, date(2027, 5, 12))
    assert (state(rt), demo_gateway.bank.executed_count()) == ("paused", 2)


@pytest.mark.parametrize("stop", ["cancel", "pause"])
@pytest.mark.parametrize("shipping", ["hold", "ship"])
def test_paying_an_old_invoice_revives_nobody(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, stop: str, shipping: str
):
    plan = make.make_plan(rt, past_due_shipping=shipping)
    sub = make.make_subscription(rt, plan=plan, card="0341")
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    old = rt.session.scalars(sa.select(Invoice.public_id).where(Invoice.state == "open")).one()
    rt.session.rollback()
    if stop == "cancel":
        cancel(rt, *me(sub))
    else:
        pause(rt, *me(sub), None)
    before = state(rt)
    replace_card(rt, sub.customer_id or 0, "4242")

    with contextlib.suppress(DomainError):
        pay_now(rt, sub.customer_id or 0, old)
    renew_until(rt, clock, date(2027, 5, 13))

    assert state(rt) == before == ("canceled" if stop == "cancel" else "paused")
    assert demo_gateway.bank.executed_count() == 1
    assert ships(rt)[:1] == ["2027-03"]


def test_a_pause_by_the_last_step_of_dunning_ends_when_its_customer_comes_back(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    plan = make.make_plan(rt, last_action="pause", retry_days=[1])
    sub = make.make_subscription(rt, plan=plan, card="0341")
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    while rt.today() < date(2027, 4, 20):
        clock.advance(days=1)
        chase_due(rt)
    assert state(rt) == "paused"
    replace_card(rt, sub.customer_id or 0, "4242")

    assert resume(rt, *me(sub)) == date(2027, 5, 12)
    renew_until(rt, clock, date(2027, 5, 12))

    assert (state(rt), demo_gateway.bank.executed_count()) == ("active", 2)
    assert ships(rt) == ["2027-03", "2027-05"]


def test_a_club_without_boxes_pauses_as_well_and_says_when_it_is_charged(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
):
    sub = make.make_subscription(rt, plan=make.make_plan(rt, ships=False))
    pause(rt, *me(sub), date(2027, 5, 2))

    with reading():
        view = account_view(rt.session, *me(sub), rt.moment(), rt.shop.taxes)
        rt.session.rollback()
    assert view is not None
    assert view.next_charge_on == date(2027, 5, 2)

    renew_until(rt, clock, date(2027, 5, 2))
    assert demo_gateway.bank.executed_count() == 2
