"""Mails before a card ends: a month and a week before, once each, and not for nothing."""

from datetime import UTC, datetime
from functools import partial

import pytest
import sqlalchemy as sa

from storefront.mails import compose
from storefront.models import Customer, OutboxMessage, PaymentMethod, Subscription
from storefront.runtime import Runtime
from storefront.services.card_ends import tell_card_ends
from storefront.services.methods import set_default
from storefront.services.outbox import deliver_due
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """A subscription paid with a card that is good until April 2027."""
    made = make.make_subscription(rt)
    change(rt, exp_month=4, exp_year=2027)
    return made


def change(rt: Runtime, **values: object) -> None:
    rt.session.execute(sa.update(PaymentMethod).values(**values))
    rt.session.commit()


def at(clock: FrozenClock, month: int, day: int) -> None:
    clock.set(datetime(2027, month, day, 9, 0, tzinfo=UTC))


def told(rt: Runtime) -> int:
    return tell_card_ends(rt)["card_notices"]


def subjects(rt: Runtime) -> list[str]:
    """Deliver what is due and return the subjects of mails about ending cards."""
    deliver_due(rt, partial(compose, rt))
    found = [mail["Subject"] for mail in rt.mailer.read()]
    return [subject for subject in found if subject == "Your card ends soon"]


def test_the_owner_is_told_a_month_and_a_week_before_and_no_more(
    rt: Runtime, clock: FrozenClock, sub: Subscription
):
    found = []
    for month, day in ((3, 30), (3, 31), (4, 1), (4, 22), (4, 23), (4, 24), (4, 30), (5, 1)):
        at(clock, month, day)
        found.append(told(rt))

    assert found == [0, 1, 0, 0, 1, 0, 0, 0]
    keys = rt.session.scalars(
        sa.select(OutboxMessage.key).where(OutboxMessage.topic == "card_ends")
    ).all()
    rt.session.rollback()
    assert sorted(key.split(":")[3] for key in keys) == ["30", "7"]


def test_who_comes_late_is_told_once(rt: Runtime, clock: FrozenClock, sub: Subscription):
    at(clock, 4, 28)
    assert (told(rt), told(rt)) == (1, 0)


def test_a_card_that_pays_for_nothing_is_not_spoken_of(
    rt: Runtime, clock: FrozenClock, sub: Subscription
):
    owner = make.make_customer(rt)
    make.make_method(rt, owner, exp_month=4, exp_year=2027)
    rt.session.execute(sa.update(Subscription).values(cancel_on=rt.today()))
    rt.session.commit()
    at(clock, 4, 28)

    assert told(rt) == 0


def test_a_card_that_was_replaced_is_not_spoken_of(
    rt: Runtime, clock: FrozenClock, sub: Subscription
):
    owner = rt.session.get(Customer, sub.customer_id)
    assert owner is not None
    rt.session.expunge(owner)
    rt.session.rollback()
    new = make.make_method(rt, owner, is_default=False)
    set_default(rt, owner.id, new.public_id)
    at(clock, 4, 28)

    assert told(rt) == 0


@pytest.mark.parametrize(
    "since", [{"exp_year": 2031}, {"detached_at": datetime(2027, 4, 28, tzinfo=UTC)}]
)
def test_what_was_renewed_or_removed_before_the_mail_left_is_not_mailed(
    rt: Runtime, clock: FrozenClock, sub: Subscription, since: dict[str, object]
):
    at(clock, 4, 28)
    assert told(rt) == 1
    change(rt, **since)

    assert subjects(rt) == []


def test_the_mail_says_which_card_ends_and_when(rt: Runtime, clock: FrozenClock, sub: Subscription):
    at(clock, 4, 28)
    assert told(rt) == 1

    assert subjects(rt) == ["Your card ends soon"]
    [text] = [
        mail.get_body(("plain",)).get_content()
        for mail in rt.mailer.read()
        if mail["Subject"] == "Your card ends soon"
    ]
    assert "Your card ending 4242 is good until 04/2027." in text


def test_a_renewed_card_is_spoken_of_again_at_its_new_end(
    rt: Runtime, clock: FrozenClock, sub: Subscription
):
    at(clock, 4, 28)
    assert told(rt) == 1
    change(rt, exp_month=6)
    at(clock, 6, 29)

    assert told(rt) == 1
