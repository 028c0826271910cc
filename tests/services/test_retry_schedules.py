"""Which days a declined charge is tried on: those of the first group that fits, or the plan's."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront.domain.dunning import Segment
from storefront.models import Address, AuditEntry, ChargeAttempt, DunningCase, Plan, Subscription
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.queries.retry_schedules import schedules
from storefront.runtime import Runtime
from storefront.services.dunning import chase_due
from storefront.services.renewals import run_renewals
from storefront.services.retry_schedules import (
    BadSchedule,
    ScheduleDraft,
    ScheduleGone,
    move_up,
    remove_schedule,
    save_schedule,
)
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from tests.support.admin import make_staff

DUE = date(2027, 3, 12)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


def names(rt: Runtime) -> list[str]:
    found = [one.name for one in schedules(rt.session)]
    rt.session.rollback()
    return found


def test_each_declined_charge_has_the_days_of_the_first_group_that_fits(
    rt: Runtime, clock: FrozenClock, who: Who
) -> None:
    pot, cup = make.make_plan(rt, code="pot"), make.make_plan(rt, code="cup")
    save_schedule(rt, who, ScheduleDraft("Abroad", (5,), "pause", 390, countries=("AT", "CH")))
    save_schedule(rt, who, ScheduleDraft("New to the pot", (1, 2), "cancel", plan=pot.public_id,
                                         began="within", began_days=30))  # fmt: skip
    clock.advance(days=(DUE - rt.today()).days)
    made = [
        *populate(rt, pot, make.price_of(rt, pot), 3, DUE, card="0341"),
        *populate(rt, cup, make.price_of(rt, cup), 1, DUE, card="0341"),
    ]
    table, address = table_of(Subscription), table_of(Address)
    began = dict(zip(made, (10, 31, 10, 10), strict=True))
    for key, days in began.items():
        at = rt.now() - timedelta(days=days)
        rt.session.execute(sa.update(table).where(table.c.id == key).values(created_at=at))
    third = sa.select(table.c.address_id).where(table.c.id == made[2]).scalar_subquery()
    rt.session.execute(sa.update(address).where(address.c.id == third).values(country="AT"))
    rt.session.commit()

    run_renewals(rt)

    cases = rt.session.execute(
        sa.select(DunningCase.policy, DunningCase.next_at).order_by(DunningCase.invoice_id)
    ).all()
    days = [(one.policy["retry_days"], one.policy["last_action"]) for one in cases]
    own = ([3, 8, 15], "cancel")
    assert days == [([1, 2], "cancel"), own, ([5], "pause"), own]
    # 6:30 in Berlin, five days later.
    assert cases[2].next_at.isoformat() == "2027-03-17T05:30:00+00:00"
    rt.session.rollback()

    # What is chased already goes on as it began.
    remove_schedule(rt, who, schedules(rt.session)[0].ref)
    clock.advance(days=5)
    before = rt.session.scalar(sa.select(sa.func.count()).select_from(ChargeAttempt)) or 0
    rt.session.rollback()
    chase_due(rt)
    tried = rt.session.scalar(sa.select(sa.func.count()).select_from(ChargeAttempt)) or 0
    assert tried == before + 4
    assert broken(rt.session) == {}


def test_schedules_are_made_ordered_changed_and_removed_each_with_an_entry_in_the_log(
    rt: Runtime, who: Who
) -> None:
    plan: Plan = make.make_plan(rt)
    first = save_schedule(rt, who, ScheduleDraft("A", (3,), "cancel", countries=("DE",)))
    second = save_schedule(rt, who, ScheduleDraft("B", (4,), "leave", plan=plan.public_id))
    assert names(rt) == ["A", "B"]

    assert move_up(rt, who, second)
    assert not move_up(rt, who, second)
    assert names(rt) == ["B", "A"]
    again = ScheduleDraft("B2", (), "pause", began="before", began_days=365)
    assert save_schedule(rt, who, again, second) == second
    [one, _other] = schedules(rt.session)
    assert (one.name, one.plan, one.retry_days, one.began_days) == ("B2", "", (), 365)
    rt.session.rollback()
    remove_schedule(rt, who, first)
    assert names(rt) == ["B2"]

    said = rt.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id)).all()
    rt.session.rollback()
    assert said[-5:] == [
        "retry_schedule.saved",
        "retry_schedule.saved",
        "retry_schedule.moved",
        "retry_schedule.saved",
        "retry_schedule.removed",
    ]
    with pytest.raises(ScheduleGone):
        remove_schedule(rt, who, first)


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (ScheduleDraft("All", (3,), "cancel"), "everybody"),
        (ScheduleDraft("", (3,), "cancel", countries=("DE",)), "group"),
        (ScheduleDraft("Back", (8, 3), "cancel", countries=("DE",)), "days"),
        (ScheduleDraft("Often", tuple(range(1, 20)), "cancel", countries=("DE",)), "ceilings"),
    ],
)
def test_what_the_schemes_do_not_allow_or_is_for_nobody_is_refused(
    rt: Runtime, who: Who, draft: ScheduleDraft, reason: str
) -> None:
    with pytest.raises(BadSchedule) as refused:
        save_schedule(rt, who, draft)
    assert refused.value.params["reason"] == reason
    assert names(rt) == []


def test_a_group_of_a_country_has_nobody_to_whom_nothing_is_sent() -> None:
    segment = Segment(plan_id=7, countries=frozenset({"DE"}), began="before", began_days=30)
    assert segment.holds(7, "DE", 31)
    assert not segment.holds(7, "", 31)
    assert not segment.holds(7, "DE", 30)
    assert not segment.holds(8, "DE", 31)
