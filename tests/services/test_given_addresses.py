"""Gifts whose address the giver knows: the boxes go there, and the recipient can correct it."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.erasure import Waiting
from storefront.domain.lifecycle import SubscriptionState
from storefront.mails import compose
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    Checkout,
    Customer,
    FulfilmentBatch,
    Gift,
    OutboxMessage,
    Product,
    Subscription,
)
from storefront.operations.choices import avoided_by
from storefront.operations.erasure_gifts import forget_left_behind, forget_recipients
from storefront.operations.returns import note_returns
from storefront.queries import worklists
from storefront.queries.checkout import known_delivery
from storefront.queries.gifts import by_code, given_by, to_hand_over
from storefront.queries.invariants import broken
from storefront.services.checkout import change_gift
from storefront.services.cycles import close_cycles, plan_ahead
from storefront.services.erasure import ask_erasure, finish_erasures
from storefront.services.fulfilment import export_all, exportable_cycles, ship_batch
from storefront.services.gifts import UnknownCode, claim, run_gifts
from storefront.services.renewals import run_renewals
from storefront.services.retention import blank_old
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.gifts import (
    HOME,
    begin_gift,
    code_of,
    make_gift,
    order_of,
    pay_order,
    subscription_of,
    wish_for,
)
from tests.support.paying import waiting_mails

ADA = "ada@example.org"
ELSEWHERE = {**HOME, "street": "Am Ufer 1", "postcode": "99423", "city": "Weimar"}


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


def known(send_on: date, **values: Any):
    return wish_for(send_on, address=HOME, **values)


def boxes(rt, gift):
    """Return state, street and the carrier's e-mail of the boxes of a gift."""
    rows = rt.session.execute(
        sa.select(BoxCycle.key, Box.state, Box.ship_to, Box.packing)
        .join(Box, Box.cycle_id == BoxCycle.id)
        .where(Box.subscription_id == gift.subscription_id)
        .order_by(Box.ordinal)
    ).all()
    rt.session.rollback()
    return [
        (row.key, row.state.value, (row.ship_to or {}).get("street"), row.packing) for row in rows
    ]


def topics(rt):
    found = rt.session.scalars(
        sa.select(OutboxMessage.topic).where(OutboxMessage.topic.like("gift%"))
    ).all()
    rt.session.rollback()
    return sorted(found)


def work(rt, clock, months):
    for _ in range(months):
        clock.advance(days=31)
        run_gifts(rt)
        plan_ahead(rt)
        close_cycles(rt)
        for cycle in exportable_cycles(rt):
            export_all(rt, cycle)
        run_renewals(rt)


def test_the_boxes_go_where_the_giver_says_without_a_claim(rt, plan, clock):
    gift = make_gift(rt, plan, known(rt.today()))
    order = rt.session.scalars(sa.select(Checkout)).one()
    assert order.address == {"name": "Ben", "country": "DE"}
    rt.session.rollback()

    work(rt, clock, 3)

    found = boxes(rt, gift)
    assert [(state, street) for _, state, street, _ in found] == [("exported", "Lindenweg 4")] * 3
    # The carrier writes to the giver; who gets it is nobody's customer.
    assert {packing["email"] for *_, packing in found} == {"ben@example.org"}
    assert found[0][3]["gift"] == {"from": "Ben", "message": "Happy birthday!"}
    assert subscription_of(rt, gift).customer_id is None
    # Nobody is asked for what is known.
    assert topics(rt) == ["gift_ordered", "gift_received"]
    counts = worklists.counts(rt.session, rt.moment(), "EUR")
    assert counts["gifts"].count == 0
    rt.session.rollback()


def test_its_recipient_hears_nothing_before_the_day_and_of_a_quiet_one_never(rt, plan, clock):
    make_gift(rt, plan, known(date(2027, 3, 20)))
    quiet = make_gift(rt, plan, known(date(2027, 3, 20), email="", is_quiet=True))
    run_gifts(rt)
    assert topics(rt) == ["gift_ordered"] * 2
    _, code = to_hand_over(rt.session, quiet.giver_id, quiet.public_id, rt.settings.secret_key)
    with pytest.raises(UnknownCode):
        claim(rt, code, ADA, HOME)

    clock.advance(days=18)
    run_gifts(rt)
    clock.advance(days=40)
    run_gifts(rt)

    assert topics(rt) == ["gift_ordered", "gift_ordered", "gift_received"]
    assert claim(rt, code, ADA, HOME).new_customer_id
    assert to_hand_over(rt.session, quiet.giver_id, quiet.public_id, "x") is None
    rt.session.rollback()


def test_the_recipient_corrects_the_address_until_the_cut_off(rt, plan, clock):
    gift = make_gift(rt, plan, known(rt.today()))
    run_gifts(rt)
    assert by_code(rt.session, code_of(rt, gift)).goes_to["street"] == "Lindenweg 4"
    rt.session.rollback()
    # The cut-off of March is over: its box goes where the giver said, the others elsewhere.
    clock.advance(days=10)
    claim(rt, code_of(rt, gift), ADA, ELSEWHERE)
    assert by_code(rt.session, code_of(rt, gift)).goes_to == {}
    assert [one.goes_to for one in given_by(rt.session, gift.giver_id)] == [{}]
    rt.session.rollback()

    work(rt, clock, 3)

    assert [(key, street) for key, _, street, _ in boxes(rt, gift)] == [
        ("2027-03", "Lindenweg 4"),
        ("2027-04", "Am Ufer 1"),
        ("2027-05", "Am Ufer 1"),
    ]


def test_a_gift_whose_boxes_have_all_left_can_still_be_claimed(rt, plan, clock):
    gift = make_gift(rt, plan, known(rt.today()))
    work(rt, clock, 4)
    assert {state for _, state, *_ in boxes(rt, gift)} == {"exported"}

    assert claim(rt, code_of(rt, gift), ADA, HOME).new_customer_id


def test_tax_and_delivery_are_those_of_the_address(rt, plan):
    plain = order_of(rt, begin_gift(rt, plan, wish_for(rt.today())))
    there = order_of(rt, begin_gift(rt, plan, known(rt.today())))

    assert (plain.sale.place.postcode, there.sale.place.postcode) == ("", "07743")
    assert there.quote.quote_hash != plain.quote.quote_hash
    assert there.has_delivery
    half = {"street": "Lindenweg 4", "country": "DE"}
    assert not order_of(rt, begin_gift(rt, plan, wish_for(rt.today(), address=half))).has_delivery


def test_a_second_try_may_let_the_recipient_say_so_after_all(rt, plan, clock):
    rt.session.execute(sa.update(Product).values(allergens=["nuts"]))
    rt.session.commit()
    key = begin_gift(rt, plan, known(rt.today(), is_quiet=True))
    change_gift(rt, key, "ben@example.org", "Ben", known(rt.today()), ["nuts"])
    pay_order(rt, key, "9995")
    (first,) = rt.session.scalars(sa.select(Subscription.id)).all()
    assert avoided_by(rt.session, [first]) == {first: {"nuts"}}
    rt.session.rollback()
    change_gift(rt, key, "ben@example.org", "Ben", wish_for(rt.today()), ["nuts"])
    pay_order(rt, key)

    gift = rt.session.scalars(sa.select(Gift)).one()
    rt.session.expunge(gift)
    rt.session.rollback()
    assert not gift.is_quiet
    assert subscription_of(rt, gift).address_id is None
    assert not avoided_by(rt.session, [first]).get(first)
    rt.session.rollback()
    work(rt, clock, 2)
    assert {state for _, state, *_ in boxes(rt, gift)} == {"planned"}


def test_the_address_of_a_gift_is_not_its_giver_s_own(rt, plan):
    gift = make_gift(rt, plan, known(rt.today()))

    assert known_delivery(rt.session, gift.giver_id).address == {"name": "Ben"}
    rt.session.rollback()


def test_what_nobody_claimed_is_forgotten_once_it_is_over(rt, plan, clock):
    gift = make_gift(rt, plan, known(rt.today(), email="", is_quiet=True))
    work(rt, clock, 5)
    assert forget_recipients(rt.session, rt.today(), 10) == 0
    rt.session.rollback()
    for batch in rt.session.scalars(sa.select(FulfilmentBatch.public_id)).all():
        rt.session.rollback()
        ship_batch(rt, batch)

    assert forget_recipients(rt.session, rt.today(), 10) == 1
    rt.session.commit()

    assert rt.session.scalars(sa.select(Address.street)).all() == [""]
    rt.session.rollback()
    assert {street for _, _, street, _ in boxes(rt, gift)} == {None}
    order = rt.session.scalars(sa.select(Checkout)).one()
    assert "Lindenweg" not in str(order.gift)
    rt.session.rollback()


def test_what_is_forgotten_of_one_gift_stays_with_another_to_the_same_address(rt, plan, clock):
    quiet = {"email": "", "is_quiet": True}
    first = make_gift(rt, plan, known(rt.today(), **quiet))
    work(rt, clock, 5)
    for batch in rt.session.scalars(sa.select(FulfilmentBatch.public_id)).all():
        rt.session.rollback()
        ship_batch(rt, batch)
    second = make_gift(rt, plan, known(rt.today(), **quiet))
    rows = [subscription_of(rt, gift).address_id for gift in (first, second)]
    assert rows[0] != rows[1]
    # Orders of before shared one.
    rt.session.execute(
        sa.update(Subscription)
        .where(Subscription.id == first.subscription_id)
        .values(address_id=rows[1])
    )
    rt.session.commit()

    assert forget_recipients(rt.session, rt.today(), 10) == 1
    rt.session.commit()

    assert rt.session.get_one(Address, rows[1]).street == HOME["street"]
    rt.session.rollback()
    work(rt, clock, 3)
    assert {street for _, _, street, _ in boxes(rt, second)} == {HOME["street"]}


def test_who_gave_is_erased_with_the_address_once_every_box_has_left(rt, plan, clock):
    gift = make_gift(rt, plan, known(rt.today(), email="", is_quiet=True))
    ben = rt.session.get_one(Customer, gift.giver_id).public_id
    rt.session.rollback()
    work(rt, clock, 5)
    # Its days are over, but the packers still hold its boxes.
    assert subscription_of(rt, gift).state is SubscriptionState.CANCELED
    assert ask_erasure(rt, ben).waits == (Waiting.GIFT,)
    for batch in rt.session.scalars(sa.select(FulfilmentBatch.public_id)).all():
        rt.session.rollback()
        ship_batch(rt, batch)

    finish_erasures(rt)

    assert rt.session.get_one(Customer, gift.giver_id).erased_at is not None
    found = rt.session.execute(sa.select(Box.ship_to, Box.packing)).all()
    left = str([tuple(row) for row in found]) + str(
        rt.session.scalars(sa.select(Gift.message)).all()
    )
    rt.session.rollback()
    for word in ("Lindenweg", "Lovelace", "ben@example.org", "birthday"):
        assert word not in left


def left_of_lindenweg(rt) -> list[str]:
    """Return what is kept of where the giver said that a gift goes: its row, its order."""
    rows = rt.session.scalars(sa.select(Address.street).order_by(Address.id)).all()
    orders = [str(one) for one in rt.session.scalars(sa.select(Checkout.gift)).all()]
    rt.session.rollback()
    return [one for one in (*rows, *orders) if "Lindenweg" in one]


def claimed_elsewhere(rt, plan, clock):
    """Ada moved two of three boxes to Weimar; all have left."""
    gift = make_gift(rt, plan, known(rt.today()))
    run_gifts(rt)
    clock.advance(days=10)
    claim(rt, code_of(rt, gift), ADA, ELSEWHERE)
    # March's still goes where the giver said.
    assert forget_left_behind(rt.session, date(2030, 1, 1), 10) == 0
    rt.session.rollback()
    work(rt, clock, 4)
    for batch in rt.session.scalars(sa.select(FulfilmentBatch.public_id)).all():
        rt.session.rollback()
        ship_batch(rt, batch)
    return gift


def test_where_a_claimed_gift_was_to_go_is_forgotten_90_days_after_it_ended(rt, plan, clock):
    gift = claimed_elsewhere(rt, plan, clock)
    ended = subscription_of(rt, gift).ended_on
    clock.advance(days=(ended - rt.today()).days + 90)
    assert blank_old(rt)["given"] == 0
    assert len(left_of_lindenweg(rt)) == 2

    clock.advance(days=1)
    assert blank_old(rt)["given"] == 1

    assert left_of_lindenweg(rt) == []
    assert rt.session.scalars(sa.select(Address.street).order_by(Address.id)).all() == [
        "",
        "Am Ufer 1",
    ]
    rt.session.rollback()
    assert blank_old(rt)["given"] == 0


def test_who_claimed_a_gift_is_erased_from_its_giver_s_addresses_too(rt, plan, clock):
    claimed_elsewhere(rt, plan, clock)
    ada = rt.session.scalars(sa.select(Customer.public_id).where(Customer.email == ADA)).one()
    rt.session.rollback()

    ask_erasure(rt, ada)
    finish_erasures(rt)

    assert rt.session.scalars(sa.select(Customer.erased_at).where(Customer.public_id == ada)).one()
    rt.session.rollback()
    assert left_of_lindenweg(rt) == []


def test_its_giver_is_told_what_came_back_while_nobody_has_claimed_it(rt, plan, clock):
    gift = make_gift(rt, plan, known(rt.today(), email="", is_quiet=True))
    work(rt, clock, 1)
    (box,) = rt.session.scalars(sa.select(Box.id).where(Box.locked_at.is_not(None))).all()

    note_returns(rt.session, [box], rt.moment())
    rt.session.commit()

    [sent] = waiting_mails(rt, "box_returned")
    assert sent.customer_id == gift.giver_id
    mail = compose(rt, sent)
    assert "Ada Lovelace" in mail.text
    assert "Lindenweg 4, Jena" in mail.text
    assert "answer this mail with the right address" in mail.text
    # Claimed meanwhile: the address is the recipient's, and what was said of it is over.
    rt.session.rollback()
    claim(rt, code_of(rt, gift), ADA, ELSEWHERE)
    assert compose(rt, sent) is None
    rt.session.rollback()
