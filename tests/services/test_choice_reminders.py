"""Who has not chosen is reminded once, while there still is time."""

from email import message_from_bytes as parse
from email.policy import default
from functools import partial

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.choices import Rule
from storefront.mails import compose
from storefront.models import ChoiceRule, Customer, OutboxMessage, Subscription
from storefront.services.choice_reminders import remind_to_choose
from storefront.services.choices import choose_contents
from storefront.services.outbox import deliver_due
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.skips import skip_box
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.boxes import cycles_of, make_subscribed


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def cycles(rt, group):
    return cycles_of(rt, group)


@pytest.fixture
def plan(rt, group):
    made = make_plan(rt, group=group)
    teas = [make_variant(rt) for _number in range(3)]
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    save_recipe(rt, made.public_id, None, "", pool, rule=Rule(2))
    make_plan(rt, code="fixed", group=group)
    return made


def subscribe(rt, plan, **values):
    row = make_subscribed(rt, plan, next_on=rt.today(), **values)
    rt.session.expunge_all()
    rt.session.rollback()
    return row


def told(rt):
    rows = rt.session.scalars(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == "choose_soon")
        .order_by(OutboxMessage.id)
    ).all()
    rt.session.rollback()
    return [row["subscription"] for row in rows]


def reminded(rt):
    return remind_to_choose(rt)["to_choose"]


def text_of(mail):
    return mail.get_body(("plain",)).get_content().replace("\n", "")


def days_before(clock, rt, cycle, days):
    clock.advance(days=(cycle.cutoff_on - rt.today()).days - days)


def test_only_who_has_a_box_and_has_not_chosen_is_reminded_once(rt, clock, plan, cycles):
    waits, again = subscribe(rt, plan), subscribe(rt, plan)
    chose, skips, held, leaves = (subscribe(rt, plan) for _number in range(4))
    pool = rt.session.scalars(sa.text("SELECT public_id FROM product_variant ORDER BY id")).all()
    rt.session.rollback()
    at = cycles[0].public_id
    picks = dict.fromkeys(pool[:2], 1)
    choose_contents(rt, chose.customer_id, chose.public_id, at, picks)
    skip_box(rt, skips.customer_id, skips.public_id, at)
    table = Subscription.__table__
    rt.session.execute(sa.update(table).where(table.c.id == held.id).values(held_at=rt.now()))
    ends = {"cancel_on": rt.today()}
    rt.session.execute(sa.update(table).where(table.c.id == leaves.id).values(**ends))
    german = sa.update(Customer.__table__).where(Customer.id == again.customer_id)
    rt.session.execute(german.values(locale="de"))
    rt.session.commit()

    days_before(clock, rt, cycles[0], 4)
    assert reminded(rt) == 0
    clock.advance(days=1)
    assert reminded(rt) == 2
    assert told(rt) == [waits.public_id, again.public_id]
    assert reminded(rt) == 0
    subscribe(rt, plan)
    clock.advance(days=3)
    assert reminded(rt) == 0

    deliver_due(rt, partial(compose, rt))
    mails = rt.settings.data_dir / "mail"
    english, german = sorted(
        (parse(path.read_bytes(), policy=default) for path in mails.glob("*.eml")),
        key=lambda mail: mail["subject"],
    )
    assert english["subject"] == "Choose what is in your next box"
    assert f"/subscriptions/{waits.public_id}/boxes/{at}/choose" in text_of(english)
    assert "we choose for you" in text_of(english)
    assert german["subject"] == "Wählen Sie, was in Ihre nächste Box kommt"


def test_nobody_is_reminded_where_the_merchant_wants_none(rt, clock, plan, cycles):
    subscribe(rt, plan)
    rt.session.execute(sa.update(ChoiceRule).values(reminder_days=0))
    rt.session.commit()
    days_before(clock, rt, cycles[0], 1)

    assert reminded(rt) == 0


@pytest.fixture
def disarmed():
    yield
    arm("")


@pytest.mark.usefixtures("disarmed")
def test_a_crash_between_slices_repeats_and_forgets_nobody(rt, clock, plan, cycles, monkeypatch):
    mine = [subscribe(rt, plan) for _number in range(3)]
    days_before(clock, rt, cycles[0], 2)
    monkeypatch.setattr("storefront.services.choice_reminders.SLICE", 2)
    arm("choice_reminders.after_slice:raise")

    with pytest.raises(FailpointReached):
        remind_to_choose(rt)
    rt.session.rollback()
    arm("")
    assert len(told(rt)) == 2
    assert reminded(rt) == 1

    assert told(rt) == [one.public_id for one in mine]
