"""Waiting lists: who is next, the place that is kept for them, and that it goes to one only."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.mails import compose
from storefront.models import AuditEntry, OutboxMessage, Plan, WaitingPlace
from storefront.operations import waiting as rules
from storefront.operations.catalogue import raise_version
from storefront.operations.places import places_of
from storefront.operations.secrets import return_token
from storefront.queries.places import full_plans
from storefront.services.checkout import Step
from storefront.services.finishing import Outcome
from storefront.services.places import set_places
from storefront.services.plans import archive_plan
from storefront.services.waiting import (
    NoList,
    NoPlaceFree,
    NotWaiting,
    invite,
    invite_waiting,
    join_list,
    leave_list,
    remove,
)
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.admin import make_staff
from tests.support.boxes import make_subscribed
from tests.support.orders import begin, in_parallel, order, paid, quote_hash
from tests.support.paying import waiting_mails


@pytest.fixture
def who(rt):
    return make_staff(rt)


@pytest.fixture
def plan(rt, who):
    """A plan of two places, both taken, and three who wait for one."""
    plan = make_plan(rt, group=make_group(rt))
    make_recipe(rt, plan, variants=[make_variant(rt)])
    set_places(rt, who, plan.public_id, 2, sells_by_stock=False, invite_hours=24)
    plan.subs = [make_subscribed(rt, plan) for _ in range(2)]
    for name in ("ada", "ben", "cleo"):
        join_list(rt, plan.code, f"{name}@example.org", "de")
    return plan


def rows(rt):
    table = WaitingPlace.__table__
    rt.session.rollback()
    found = rt.session.execute(sa.select(table).order_by(table.c.id)).all()
    rt.session.rollback()
    return {row.email.partition("@")[0]: row for row in found}


def left(rt, plan):
    found = places_of(rt.session, [plan.id], rt.moment())[plan.id].left
    rt.session.rollback()
    return found


def leave(rt, plan):
    """Let one subscriber end at once, so that there is a place."""
    one = plan.subs.pop()
    rt.session.execute(
        sa.text("UPDATE subscription SET state = 'canceled', ended_on = next_on WHERE id = :id"),
        {"id": one.id},
    )
    rt.session.commit()


def test_a_free_place_is_kept_for_who_came_first_and_then_goes_to_the_next(
    rt, plan, clock, demo_gateway, monkeypatch
):
    join_list(rt, plan.code, "ada@example.org", "de")
    assert list(rows(rt)) == ["ada", "ben", "cleo"]
    with monkeypatch.context() as full:
        # While there is no place nobody's order waits for us.
        full.delattr("storefront.services.waiting.lock_groups")
        assert (invite_waiting(rt).invited, invite_waiting(rt).over) == (0, 0)
    leave(rt, plan)
    assert invite_waiting(rt).invited == 1
    assert invite_waiting(rt).invited == 0
    assert [name for name, row in rows(rt).items() if row.until_at] == ["ada"]
    assert left(rt, plan) == 0
    mail = compose(rt, waiting_mails(rt, "place_free")[0])
    rt.session.rollback()
    token = return_token(rt.settings.secret_key, "waiting", rows(rt)["ada"].public_id)
    assert (mail.to, f"/waiting/place/{token}" in mail.text) == ("ada@example.org", True)

    stranger = begin(rt, plan, email="stranger@example.org")
    assert order(rt, stranger).step is Step.SOLD_OUT
    clock.advance(hours=25)
    assert (invite_waiting(rt).over, list(rows(rt))) == (1, ["ben", "cleo"])
    assert order(rt, begin(rt, plan)).step is Step.SOLD_OUT
    assert paid(rt, demo_gateway, begin(rt, plan, email="ben@example.org")) is Outcome.DONE
    assert list(rows(rt)) == ["cleo"]
    assert left(rt, plan) == 0
    assert invite_waiting(rt).invited == 0


def test_a_place_that_is_free_again_goes_to_the_line_and_not_to_who_comes_by(
    rt, plan, who, demo_gateway
):
    leave(rt, plan)
    assert left(rt, plan) == 1
    assert full_plans(rt.session, rt.moment()) == {plan.code}
    rt.session.rollback()

    assert order(rt, begin(rt, plan, email="stranger@example.org")).step is Step.SOLD_OUT
    join_list(rt, plan.code, "dora@example.org", "de")
    assert list(rows(rt)) == ["ada", "ben", "cleo", "dora"]

    # More places than wait: the rest is for anybody.
    set_places(rt, who, plan.public_id, 6, sells_by_stock=False, invite_hours=24)
    assert full_plans(rt.session, rt.moment()) == frozenset()
    rt.session.rollback()
    stranger = begin(rt, plan, email="stranger@example.org")
    assert paid(rt, demo_gateway, stranger) is Outcome.DONE
    assert order(rt, begin(rt, plan, email="late@example.org")).step is Step.SOLD_OUT
    assert invite_waiting(rt).invited == 4
    assert paid(rt, demo_gateway, begin(rt, plan, email="dora@example.org")) is Outcome.DONE


def test_an_order_on_its_way_keeps_its_box_when_others_begin_to_wait(rt, plan, who, demo_gateway):
    for one in ("ada", "ben", "cleo"):
        leave_list(rt, rows(rt)[one].public_id)
    leave(rt, plan)
    early = begin(rt, plan, email="early@example.org")
    assert order(rt, early).step is Step.PAY
    join_list(rt, plan.code, "ada@example.org", "de")
    assert order(rt, early).step is Step.PAY


def test_a_refused_card_does_not_lose_the_place_that_was_kept(rt, plan, clock, demo_gateway):
    leave(rt, plan)
    assert invite_waiting(rt).invited == 1
    key = begin(rt, plan, email="ada@example.org")
    for _ in range(2):
        assert paid(rt, demo_gateway, key, "0002") is Outcome.DECLINED
        assert list(rows(rt)) == ["ben", "cleo"]
        clock.advance(minutes=40)
        assert invite_waiting(rt).invited == 0
        assert order(rt, begin(rt, plan, email="stranger@example.org")).step is Step.SOLD_OUT
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert left(rt, plan) == 0


def test_the_kept_place_goes_to_one_of_fifty_who_ask_at_once(app, rt, plan):
    leave(rt, plan)
    invite_waiting(rt)
    names = ["ada", *(f"shopper{n}" for n in range(49))]
    keys = [begin(rt, plan, email=f"{name}@example.org") for name in names]
    shown = [quote_hash(rt, key) for key in keys]
    steps = in_parallel(app, 50, lambda own, n: order(own, keys[n], shown[n]).step)

    assert steps == [Step.PAY] + [Step.SOLD_OUT] * 49
    assert left(rt, plan) == 0


def test_people_leave_and_staff_invite_or_remove_by_hand(rt, plan, who):
    found = rows(rt)
    with pytest.raises(NoPlaceFree):
        invite(rt, who, found["cleo"].public_id)
    leave(rt, plan)
    invite(rt, who, found["cleo"].public_id)
    for action in (invite, remove):
        with pytest.raises(NotWaiting):
            action(rt, who, "wtg_nobody" if action is remove else found["cleo"].public_id)
    remove(rt, who, found["ada"].public_id)
    leave_list(rt, found["cleo"].public_id)
    leave_list(rt, found["cleo"].public_id)
    assert list(rows(rt)) == ["ben"]
    assert invite_waiting(rt).invited == 1
    actions = rt.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions[-2:] == ["waiting.invited", "waiting.removed"]
    assert "cleo" not in str(rt.session.scalars(sa.select(AuditEntry.after)).all())
    rt.session.rollback()


def test_nobody_waits_for_a_plan_that_has_places_for_more_than_wait(rt, plan, who):
    set_places(rt, who, plan.public_id, 6, sells_by_stock=False, invite_hours=24)
    for code in (plan.code, "no-such-plan"):
        with pytest.raises(NoList):
            join_list(rt, code, "dora@example.org", "en")
    topics = [row.topic for row in rt.session.scalars(sa.select(OutboxMessage))]
    rt.session.rollback()
    assert topics.count("waiting_joined") == 3


def test_who_leaves_while_they_are_invited_hears_nothing(rt, plan):
    leave(rt, plan)
    first = rules.next_in_line(rt.session, plan.id, 2)
    leave_list(rt, first[0].public_id)

    assert rules.invite_rows(rt.session, first, 24, rt.moment()) == 1
    rt.session.commit()

    assert [row.payload["to"] for row in waiting_mails(rt, "place_free")] == ["ben@example.org"]


def test_nobody_waits_any_longer_for_an_archived_plan(rt, plan, who):
    leave(rt, plan)
    invite_waiting(rt)
    archive_plan(rt, who, plan.public_id)

    assert (invite_waiting(rt).over, rows(rt)) == (3, {})
    assert invite_waiting(rt).over == 0
    kept = rt.session.scalars(sa.select(OutboxMessage.payload)).all()
    rt.session.rollback()
    assert "example.org" not in str([each for each in kept if "place" in each])


def test_mails_of_the_list_name_the_plan_in_the_language_of_who_waits(rt, plan):
    rt.session.execute(sa.update(Plan).values(name="Pot", translations={"de": {"name": "Kanne"}}))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    joined = [compose(rt, one) for one in waiting_mails(rt, "waiting_joined")]
    rt.session.rollback()
    leave(rt, plan)
    assert invite_waiting(rt).invited == 1
    free = [compose(rt, one) for one in waiting_mails(rt, "place_free")]
    rt.session.rollback()

    assert (len(joined), len(free)) == (3, 1)
    for mail in (*joined, *free):
        assert "Kanne" in mail.subject
        assert "Pot" not in mail.subject + mail.text
