"""What a builder left in another test is what it would have made, and only where nobody wrote."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Customer, Plan, Subscription
from storefront.models.base import Base
from storefront.testing import factories as make
from tests.support import snapshots


@pytest.fixture
def worked(monkeypatch):
    """Names of the builders that did their work instead of being brought back."""
    names = []
    work = snapshots.Snapshots._work

    def note(self, way, build, *, is_known):
        names.append(way)
        return work(self, way, build, is_known=is_known)

    monkeypatch.setattr(snapshots.Snapshots, "_work", note)
    return names


def counts(rt):
    found = {
        name: rt.session.scalar(sa.select(sa.func.count()).select_from(table))
        for name, table in Base.metadata.tables.items()
    }
    rt.session.rollback()
    return {name: many for name, many in found.items() if many}


#: What the same set-up left in this process, time after time.
_left: dict[str, list[dict[str, int]]] = {"sqlite": [], "postgresql": []}


@pytest.mark.parametrize("time", range(4))
def test_a_set_up_that_is_brought_back_leaves_the_rows_it_left_before(
    rt, demo_gateway, database, worked, time
):
    plan = make.make_plan(rt, name=f"Repeated on {database.kind}")
    sub = make.make_subscription(rt, plan=plan)

    left = _left[database.kind]
    assert len(worked) == (2 if len(left) < 2 else 0)
    left.append(counts(rt))
    assert left[-1] == left[0]
    assert sub.state is SubscriptionState.ACTIVE
    row = rt.session.get_one(Subscription, sub.id)
    assert (row.public_id, row.plan_id) == (sub.public_id, plan.id)
    assert demo_gateway.bank.executed_count() == 1
    assert demo_gateway.bank.executed_total("EUR") == 2600
    # The next row gets a number of its own, on both databases.
    rt.session.rollback()
    assert make.make_customer(rt, name="Somebody else").id > row.customer_id


@pytest.mark.parametrize("time", range(5))
@pytest.mark.parametrize("name", ["Ada", "Bo"])
def test_a_row_that_was_read_anew_is_the_row_that_was_made(rt, worked, name, time):
    def read(key):
        found = rt.session.get_one(Customer, key)
        rt.session.expunge(found)
        rt.session.rollback()
        return found

    plan = make.make_plan(rt, name="For a row")
    key = make.make_customer(rt, name="Cy").id
    other = make.make_customer(rt, name=name).id

    sub = make.make_subscription(rt, plan=plan, customer=read(key if name == "Ada" else other))

    # One time more than usual: each of the first two made another key for others to see.
    assert worked == [] or time < 3
    assert sub.customer_id == (key if name == "Ada" else other)
    changed = read(key)
    changed.name = "Somebody else"
    worked.clear()
    assert make.make_address(rt, changed).name == "Somebody else"
    assert worked == [], "it was asked whether it is known"


@pytest.mark.parametrize("time", range(4))
def test_a_builder_works_once_somebody_else_has_written(rt, worked, time):
    make.make_plan(rt, name="Before")
    rt.session.execute(sa.update(Plan).values(name="Written"))
    rt.session.commit()
    worked.clear()

    made = make.make_plan(rt, name="After")

    assert not worked, "it was asked whether it is known"
    names = rt.session.scalars(sa.select(Plan.name).order_by(Plan.id)).all()
    assert names == ["Written", "After"]
    assert made.name == "After"


@pytest.mark.parametrize("time", range(4))
def test_what_the_bank_was_told_in_between_holds(rt, demo_gateway, worked, time):
    plan = make.make_plan(rt, name="Told")
    demo_gateway.bank.set_fault("down")
    worked.clear()

    with pytest.raises(LookupError, match="no setup"):
        make.make_subscription(rt, plan=plan)

    assert not worked
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Subscription)) == 0


@pytest.mark.parametrize("time", range(4))
def test_a_builder_inside_a_transaction_commits_what_was_written_in_it(rt, time):
    make.make_plan(rt, name="First")
    rt.session.execute(sa.update(Plan).values(name="Not committed yet"))

    make.make_customer(rt)

    rt.session.rollback()
    assert rt.session.scalars(sa.select(Plan.name)).all() == ["Not committed yet"]
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Customer)) == 1


@pytest.mark.parametrize("time", range(4))
def test_the_day_is_part_of_what_is_the_same(rt, clock, time):
    clock.advance(days=time)

    sub = make.make_subscription(rt, plan=make.make_plan(rt, name="Each day"))

    assert sub.created_at == rt.now()
