"""Moving subscribers to a new price: nobody pays what they were not told of."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.periods import Interval, add_interval
from storefront.domain.price_changes import ImpossibleMigration, applies_on
from storefront.models import (
    Invoice,
    OutboxMessage,
    Plan,
    Price,
    PriceMigration,
    PriceMigrationItem,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.added_codes import add_code
from storefront.services.cancellations import cancel
from storefront.services.changes import withdraw
from storefront.services.price_changes import (
    MigrationDraft,
    concerned,
    draft_migration,
    dry_run,
    schedule,
    stop,
)
from storefront.services.price_notices import tell_due
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff

MONTH = Interval("month")


@given(
    st.dates(date(2027, 1, 1), date(2029, 1, 1)),
    st.integers(1, 31),
    st.integers(0, 400),
    st.integers(0, 90),
    st.integers(0, 90),
)
def test_the_new_price_is_never_charged_before_its_day_nor_without_notice(
    next_on: date, day: int, later: int, notice: int, told_before: int
) -> None:
    told = next_on - timedelta(days=told_before)
    effective = next_on + timedelta(days=later - 100)
    on = applies_on(next_on, MONTH, day, effective_on=effective, told_on=told, notice_days=notice)
    assert on >= effective
    assert (on - told).days >= notice
    turns = [add_interval(next_on, MONTH, n, day=day) for n in range(20)]
    assert on in turns
    before = turns.index(on) - 1
    if before >= 0:
        assert turns[before] < max(effective, told + timedelta(days=notice))


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt)


@pytest.fixture
def sub(rt: Runtime, plan: Plan) -> Subscription:
    return make.make_subscription(rt, plan=plan)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def dearer(rt: Runtime, plan: Plan, sub: Subscription) -> Price:
    return make.make_price(rt, plan, amount_minor=2900)


def begin(rt: Runtime, who: Who, price: Price, day: date = date(2027, 5, 1)) -> str:
    ref = draft_migration(rt, who, MigrationDraft("Spring", price.public_id, day))
    assert schedule(rt, who, ref)
    return ref


def live_until(rt: Runtime, clock: FrozenClock, day: date) -> None:
    while rt.today() < day:
        clock.advance(days=1)
        tell_due(rt)
        run_renewals(rt)


def amounts(rt: Runtime) -> list[int]:
    found = list(rt.session.scalars(sa.select(Invoice.total_minor).order_by(Invoice.id)))
    rt.session.rollback()
    return found


def mails(rt: Runtime) -> int:
    count = rt.session.scalar(
        sa.select(sa.func.count()).where(OutboxMessage.topic == "price_change")
    )
    rt.session.rollback()
    return count or 0


def states(rt: Runtime) -> list[str]:
    found = list(rt.session.scalars(sa.select(PriceMigrationItem.state)))
    rt.session.rollback()
    return found


def test_a_draft_says_who_would_pay_what_and_changes_nothing(
    rt: Runtime, who: Who, dearer: Price, sub: Subscription
) -> None:
    ref = draft_migration(rt, who, MigrationDraft("Spring", dearer.public_id, date(2027, 5, 1)))

    (one,) = dry_run(rt, ref)

    assert (one.old.minor, one.new.minor, one.applies_on) == (2600, 2900, date(2027, 5, 12))
    assert one.subscription == sub.public_id
    assert tell_due(rt).told == 0
    assert states(rt) == []


def test_everybody_is_told_the_promised_days_before_and_charged_on_the_day(
    rt: Runtime, who: Who, dearer: Price, clock: FrozenClock
) -> None:
    begin(rt, who, dearer)

    live_until(rt, clock, date(2027, 4, 11))
    assert mails(rt) == 0
    live_until(rt, clock, date(2027, 4, 12))
    assert mails(rt) == 1
    live_until(rt, clock, date(2027, 6, 13))

    assert amounts(rt) == [2600, 2600, 2900, 2900]
    assert (mails(rt), states(rt)) == (1, ["moved"])


def test_who_is_told_late_pays_late(
    rt: Runtime, who: Who, dearer: Price, clock: FrozenClock
) -> None:
    live_until(rt, clock, date(2027, 4, 20))
    begin(rt, who, dearer)

    live_until(rt, clock, date(2027, 6, 13))

    assert amounts(rt) == [2600, 2600, 2600, 2900]


def test_a_subscriber_may_keep_the_old_price(
    rt: Runtime, who: Who, dearer: Price, sub: Subscription, clock: FrozenClock
) -> None:
    begin(rt, who, dearer)
    live_until(rt, clock, date(2027, 4, 14))

    assert withdraw(rt, sub.customer_id, sub.public_id)
    live_until(rt, clock, date(2027, 6, 13))

    assert amounts(rt) == [2600, 2600, 2600, 2600]
    assert (mails(rt), states(rt)) == (1, ["opted_out"])


def test_who_leaves_is_not_told(
    rt: Runtime, who: Who, dearer: Price, sub: Subscription, clock: FrozenClock
) -> None:
    begin(rt, who, dearer)
    cancel(rt, sub.customer_id, sub.public_id)

    live_until(rt, clock, date(2027, 5, 13))

    assert mails(rt) == 0


@pytest.mark.parametrize("ends", [{"ends_on": date(2027, 5, 12)}, {"max_boxes": 2}])
def test_who_ends_before_the_new_price_is_not_told(
    rt: Runtime,
    who: Who,
    dearer: Price,
    sub: Subscription,
    clock: FrozenClock,
    ends: dict[str, object],
) -> None:
    ref = draft_migration(rt, who, MigrationDraft("Spring", dearer.public_id, date(2027, 5, 1)))
    assert len(list(dry_run(rt, ref))) == concerned(rt, ref) == 1
    rt.session.execute(sa.update(Subscription).values(**ends))
    rt.session.commit()
    assert (list(dry_run(rt, ref)), concerned(rt, ref)) == ([], 1)
    assert schedule(rt, who, ref)

    live_until(rt, clock, date(2027, 5, 13))

    assert (mails(rt), amounts(rt)) == (0, [2600, 2600])


def test_who_ends_by_the_time_of_the_notice_is_gone_and_the_change_gets_done(
    rt: Runtime, who: Who, dearer: Price, sub: Subscription, clock: FrozenClock
) -> None:
    ref = begin(rt, who, dearer)
    tell_due(rt)
    assert states(rt) == ["waiting"]
    rt.session.execute(sa.update(Subscription).values(max_boxes=2))
    rt.session.commit()

    live_until(rt, clock, date(2027, 5, 13))

    assert (mails(rt), states(rt)) == (0, ["gone"])
    found = rt.session.scalar(
        sa.select(PriceMigration.state).where(PriceMigration.public_id == ref)
    )
    assert found == "done"


def test_a_stopped_change_charges_nobody_more(
    rt: Runtime, who: Who, dearer: Price, clock: FrozenClock
) -> None:
    ref = begin(rt, who, dearer)
    live_until(rt, clock, date(2027, 4, 14))

    assert stop(rt, who, ref)
    assert not stop(rt, who, ref)
    live_until(rt, clock, date(2027, 6, 13))

    assert amounts(rt) == [2600, 2600, 2600, 2600]


def told(rt: Runtime) -> dict[str, object]:
    payload = rt.session.scalar(
        sa.select(OutboxMessage.payload).where(OutboxMessage.topic == "price_change")
    )
    rt.session.rollback()
    return payload or {}


def test_what_is_told_is_what_is_charged_whatever_changed_since_the_draft(
    rt: Runtime, who: Who, dearer: Price, sub: Subscription, clock: FrozenClock
) -> None:
    begin(rt, who, dearer)
    tell_due(rt)
    rt.session.execute(sa.update(Subscription).values(quantity=2))
    rt.session.commit()

    live_until(rt, clock, date(2027, 5, 12))

    assert (told(rt)["old_minor"], told(rt)["new_minor"]) == (5200, 5800)
    assert amounts(rt)[-1] == 5800


def test_a_code_that_is_spent_before_is_no_part_of_the_new_price(
    rt: Runtime, who: Who, dearer: Price, sub: Subscription, clock: FrozenClock
) -> None:
    make.make_code(rt, code="ONCE", percent=50)
    add_code(rt, sub.customer_id, sub.public_id, "ONCE")
    ref = begin(rt, who, dearer, date(2027, 5, 1))

    assert [(one.old.minor, one.new.minor) for one in dry_run(rt, ref)] == [(2600, 2900)]
    live_until(rt, clock, date(2027, 5, 12))

    assert amounts(rt) == [2600, 1300, 2900]
    assert told(rt)["new_minor"] == 2900


def test_those_who_leave_hide_nobody_behind_them(
    rt: Runtime,
    who: Who,
    plan: Plan,
    dearer: Price,
    sub: Subscription,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("storefront.operations.price_changes.SLICE", 1)
    old = rt.session.get_one(Price, sub.price_id)
    later = make.make_subscription(rt, plan=plan)
    rt.session.execute(
        sa.update(Subscription).where(Subscription.id == later.id).values(price_id=old.id)
    )
    rt.session.commit()
    cancel(rt, sub.customer_id, sub.public_id)
    begin(rt, who, dearer)

    live_until(rt, clock, date(2027, 4, 12))

    assert mails(rt) == 1


def test_the_price_of_a_country_is_not_touched_by_the_one_for_everywhere(
    rt: Runtime, who: Who, plan: Plan, dearer: Price, sub: Subscription
) -> None:
    austrian = make.make_price(rt, plan, country="AT", amount_minor=2700)
    rt.session.execute(sa.update(Subscription).values(price_id=austrian.id))
    rt.session.commit()
    ref = draft_migration(rt, who, MigrationDraft("Spring", dearer.public_id, date(2027, 5, 1)))

    assert list(dry_run(rt, ref)) == []


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(2027, 3, 2), "past"),
        (date(2027, 5, 1), "nobody"),
        (date(9999, 12, 31), "far"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    rt: Runtime, who: Who, plan: Plan, day: date, reason: str
) -> None:
    only = make.price_of(rt, plan)
    with pytest.raises(ImpossibleMigration) as refused:
        draft_migration(rt, who, MigrationDraft("Spring", only.public_id, day))
    assert refused.value.params["reason"] == reason
