"""Subscribers are told of their next box once, while they can still change it."""

from datetime import timedelta
from email import message_from_bytes as parse
from email.policy import default
from functools import partial

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.choices import Rule
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.periods import Interval
from storefront.domain.plan_terms import PlanTerms
from storefront.mails import compose
from storefront.models import Customer, CycleGroup, Gift, OutboxMessage, Plan
from storefront.models.base import public_id
from storefront.services.box_notices import tell_of_boxes
from storefront.services.choice_reminders import remind_to_choose
from storefront.services.choices import choose_contents
from storefront.services.outbox import deliver_due
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.plan_terms import save_terms
from storefront.services.plans import PlanDraft, add_plan
from storefront.services.skips import skip_box
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.admin import make_staff
from tests.support.boxes import cycles_of, make_subscribed


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def cycles(rt, group):
    return cycles_of(rt, group)


@pytest.fixture
def plan(rt, group):
    made = make_plan(rt, group=group, box_notice_days=3)
    make_recipe(rt, made)
    make_plan(rt, code="silent", group=group)
    return made


def subscribe(rt, plan, **values):
    row = make_subscribed(rt, plan, next_on=rt.today(), **values)
    rt.session.expunge_all()
    rt.session.rollback()
    return row


def set_on(rt, row, **values):
    table = type(row).__table__
    rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**values))
    rt.session.commit()


def told(rt, topic="box_soon"):
    rows = rt.session.scalars(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == topic)
        .order_by(OutboxMessage.id)
    ).all()
    rt.session.rollback()
    return [row["subscription"] for row in rows]


def of_boxes(rt):
    return tell_of_boxes(rt)["of_boxes"]


def days_before(clock, rt, cycle, days):
    clock.advance(days=(cycle.cutoff_on - rt.today()).days - days)


def mails_of(rt):
    """Deliver what waits; the mails by their subjects."""
    deliver_due(rt, partial(compose, rt))
    paths = (rt.settings.data_dir / "mail").glob("*.eml")
    mails = (parse(path.read_bytes(), policy=default) for path in paths)
    return {
        mail["subject"]: mail.get_body(("plain",)).get_content().replace("\n", "") for mail in mails
    }


def give(rt, subscription):
    """Make the subscription a gift that nobody has claimed."""
    gift = Gift(
        public_id=public_id("gift"),
        subscription_id=subscription.id,
        giver_id=subscription.customer_id,
        giver_name="Ada",
        recipient_name="Ben",
        recipient_email="ben@example.com",
        locale="en",
        country="DE",
        message="",
        send_on=rt.today(),
        code_hash=public_id("code"),
    )
    rt.session.add(gift)
    rt.session.commit()


def test_who_can_still_change_a_box_is_told_once(rt, clock, plan, cycles):
    first, german = subscribe(rt, plan), subscribe(rt, plan)
    skips, held, paused, given, leaves = (subscribe(rt, plan) for _number in range(5))
    skip_box(rt, skips.customer_id, skips.public_id, cycles[0].public_id)
    set_on(rt, held, held_at=rt.now())
    set_on(rt, paused, state=SubscriptionState.PAUSED)
    set_on(rt, leaves, cancel_on=rt.today())
    give(rt, given)
    rt.session.execute(
        sa.update(Customer.__table__).where(Customer.id == german.customer_id).values(locale="de")
    )
    rt.session.commit()

    days_before(clock, rt, cycles[0], 4)
    assert of_boxes(rt) == 0
    clock.advance(days=1)
    assert of_boxes(rt) == 2
    assert told(rt) == [first.public_id, german.public_id]
    assert of_boxes(rt) == 0

    mails = mails_of(rt)
    assert len(mails) == 2
    english = next(text for subject, text in mails.items() if subject.startswith("Your next box"))
    page = f"/account/subscriptions/{first.public_id}"
    assert "23:59" in english
    assert "Skip" in english
    assert f"{page}/address" in english
    assert f"{page}/boxes/{cycles[0].public_id}/choose" not in english
    assert any(subject.startswith("Ihre nächste Box") for subject in mails)


def test_who_skips_before_the_mail_leaves_is_not_written_to(rt, clock, plan, cycles):
    row = subscribe(rt, plan)
    days_before(clock, rt, cycles[0], 2)
    assert of_boxes(rt) == 1

    skip_box(rt, row.customer_id, row.public_id, cycles[0].public_id)

    assert mails_of(rt) == {}


def test_who_is_reminded_to_choose_gets_no_second_mail(rt, clock, group, cycles):
    plan = make_plan(rt, group=group, box_notice_days=3)
    teas = [make_variant(rt) for _number in range(3)]
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, None, "", pool, rule=Rule(2))
    picks = {one.public_id: 1 for one in teas[:2]}
    waits, chose = subscribe(rt, plan), subscribe(rt, plan)
    at = cycles[0].public_id
    choose_contents(rt, chose.customer_id, chose.public_id, at, picks)

    days_before(clock, rt, cycles[0], 3)
    assert remind_to_choose(rt)["to_choose"] == 1
    # Reminded, and has chosen since.
    choose_contents(rt, waits.customer_id, waits.public_id, at, picks)
    assert of_boxes(rt) == 1

    assert (told(rt, "choose_soon"), told(rt)) == ([waits.public_id], [chose.public_id])


def test_nobody_is_told_where_the_plan_wants_no_mail(rt, clock, group, cycles):
    silent = make_plan(rt, group=group)
    subscribe(rt, silent)
    days_before(clock, rt, cycles[0], 1)

    assert of_boxes(rt) == 0


@pytest.fixture
def disarmed():
    yield
    arm("")


@pytest.mark.usefixtures("disarmed")
def test_a_crash_between_slices_repeats_and_forgets_nobody(rt, clock, plan, cycles, monkeypatch):
    mine = [subscribe(rt, plan) for _number in range(3)]
    days_before(clock, rt, cycles[0], 2)
    monkeypatch.setattr("storefront.services.box_notices.SLICE", 2)
    arm("box_notices.after_slice:raise")

    with pytest.raises(FailpointReached):
        tell_of_boxes(rt)
    rt.session.rollback()
    arm("")
    assert len(told(rt)) == 2
    assert of_boxes(rt) == 1

    assert told(rt) == [one.public_id for one in mine]


def test_a_box_is_told_of_once_though_its_cut_off_moves(rt, clock, plan, cycles):
    subscribe(rt, plan)
    days_before(clock, rt, cycles[0], 3)
    assert of_boxes(rt) == 1
    cycle = cycles[0]
    set_on(rt, cycle, cutoff_on=cycle.lock_on)

    clock.advance(days=2)

    assert of_boxes(rt) == 0


def test_where_boxes_are_packed_every_day_each_is_told_of_as_long_before(rt, clock):
    daily = {"unit": "day", "charge_day": None, "lock_days": 0, "ship_days": 1}
    group = make_group(rt, cycles=60, cutoff_days=0, ship_window_days=0, **daily)
    plan = make_plan(rt, group=group, box_notice_days=3)
    make_recipe(rt, plan)
    days = [rt.today() + timedelta(days=ahead) for ahead in (10, 11)]
    first, second = (
        make_subscribed(rt, plan, next_on=day, anchor_on=day).public_id for day in days
    )
    rt.session.expunge_all()
    rt.session.rollback()

    clock.advance(days=6)
    assert of_boxes(rt) == 0
    clock.advance(days=1)
    assert of_boxes(rt) == 1
    assert told(rt) == [first]
    clock.advance(days=1)
    assert of_boxes(rt) == 1
    assert told(rt) == [first, second]


def test_a_new_plan_sends_the_mail_until_its_terms_say_otherwise(rt, group):
    who = make_staff(rt)
    ref = rt.session.scalar(sa.select(CycleGroup.public_id))
    rt.session.rollback()
    plan = add_plan(rt, who, PlanDraft("new", "New", Interval("month"), ref, "standard"))
    assert days_of(rt, plan) == 3

    assert save_terms(rt, who, plan, PlanTerms(box_notice_days=0))

    assert days_of(rt, plan) == 0


def days_of(rt, plan):
    found = rt.session.scalar(sa.select(Plan.box_notice_days).where(Plan.public_id == plan))
    rt.session.rollback()
    return found
