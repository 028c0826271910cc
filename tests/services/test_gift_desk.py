"""What staff do for who gives something: the address on their behalf, and the link once more."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.mails import compose
from storefront.models import Address, AuditEntry, Box, BoxCycle, Customer, Gift, OutboxMessage
from storefront.operations.erasure_gifts import forget_recipients
from storefront.operations.returns import note_returns
from storefront.operations.secrets import hash_secret
from storefront.queries.gifts import by_code, by_id
from storefront.queries.invariants import broken
from storefront.services.cycles import close_cycles
from storefront.services.erasure import ask_erasure
from storefront.services.gift_desk import (
    AlreadyClaimed,
    GiftNotFound,
    NotMailed,
    OtherCountry,
    PostalAddress,
    TooLate,
    enter_address,
    send_link,
)
from storefront.services.gifts import claim, run_gifts
from storefront.services.outbox import deliver_due
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.admin import make_staff
from tests.support.gifts import HOME, code_of, give_back, make_gift, wish_for
from tests.support.paying import waiting_mails

ADA = "ada@example.org"
JENA = PostalAddress(**HOME)
WEIMAR = PostalAddress(**HOME | {"street": "Am Ufer 1", "postcode": "99423", "city": "Weimar"})


@pytest.fixture
def plan(rt):
    plan = make_plan(rt, group=make_group(rt), amount_minor=6900, unit="month", count=3)
    make_recipe(rt, plan, variants=[make_variant(rt, on_hand=100)])
    return plan


@pytest.fixture
def who(rt):
    return make_staff(rt, "support")


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def run(rt, clock, days):
    for _ in range(days):
        clock.advance(days=1)
        run_gifts(rt)
        close_cycles(rt)


def towns(rt, gift):
    """Return by month where the locked boxes of a gift go."""
    rows = rt.session.execute(
        sa.select(BoxCycle.key, Box.ship_to)
        .join(Box, Box.cycle_id == BoxCycle.id)
        .where(Box.subscription_id == gift.subscription_id, Box.state == BoxState.LOCKED)
        .order_by(BoxCycle.key)
    ).all()
    rt.session.rollback()
    return [(row.key, row.ship_to["city"]) for row in rows]


def logged(rt, action):
    rows = rt.session.scalars(sa.select(AuditEntry).where(AuditEntry.action == action)).all()
    rt.session.expunge_all()
    rt.session.rollback()
    return list(rows)


def deliver(rt):
    """Deliver what waits; returns the addresses that gifts were mailed to."""
    to = []

    def note(delivery):
        mail = compose(rt, delivery)
        to.extend([mail.to] if mail and delivery.topic == "gift_received" else [])
        return mail

    deliver_due(rt, note)
    return to


def test_an_address_that_staff_enter_is_as_one_from_the_giver(rt, plan, clock, who):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)

    assert enter_address(rt, who, gift.public_id, JENA)
    assert not enter_address(rt, who, gift.public_id, JENA), "it goes there already"

    assert by_id(rt.session, gift.public_id).goes_to["street"] == "Lindenweg 4"
    rt.session.rollback()
    [entry] = logged(rt, "address.changed")
    assert (entry.staff_id, entry.after["city"]) == (who.id, "Jena")
    run(rt, clock, 31)
    assert towns(rt, gift) == [("2027-03", "Jena")]
    assert waiting_mails(rt, "gift_reminder") == []
    # Its recipient can correct it with the code as ever.
    claim(rt, code_of(rt, gift), ADA, HOME | {"city": "Gera", "postcode": "07545"})
    run(rt, clock, 31)
    assert towns(rt, gift) == [("2027-03", "Jena"), ("2027-04", "Gera")]


def test_an_address_holds_for_the_boxes_whose_cut_off_is_not_over(rt, plan, clock, who):
    gift = make_gift(rt, plan, wish_for(rt.today(), address=HOME))
    run_gifts(rt)
    cutoff = rt.session.scalar(sa.select(BoxCycle.cutoff_on).where(BoxCycle.key == "2027-03"))
    rt.session.rollback()
    clock.advance(days=(cutoff - rt.today()).days + 1)

    assert enter_address(rt, who, gift.public_id, WEIMAR)

    run(rt, clock, 45)
    assert towns(rt, gift) == [("2027-03", "Jena"), ("2027-04", "Weimar")]
    # What was corrected is forgotten as well, once it is over.
    run(rt, clock, 31)
    rt.session.execute(sa.text("UPDATE subscription SET state = 'canceled'"))
    rt.session.execute(sa.update(Box).values(state=BoxState.DELIVERED))
    assert forget_recipients(rt.session, rt.today(), 10) == 1
    left = rt.session.scalars(sa.select(Address.street).where(Address.street != "")).all()
    rt.session.rollback()
    assert not {"Lindenweg 4", "Am Ufer 1"} & set(left)


def test_once_every_box_is_packed_an_address_comes_too_late(rt, plan, clock, who):
    gift = make_gift(rt, plan, wish_for(rt.today(), address=HOME))
    run(rt, clock, 100)
    assert len(towns(rt, gift)) == 3

    with pytest.raises(TooLate):
        enter_address(rt, who, gift.public_id, WEIMAR)


def test_staff_change_nothing_that_is_not_the_giver_s_any_more(rt, plan, who):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    with pytest.raises(OtherCountry):
        enter_address(rt, who, gift.public_id, PostalAddress(**HOME | {"country": "AT"}))
    with pytest.raises(GiftNotFound):
        enter_address(rt, who, "gft_none", JENA)
    claim(rt, code_of(rt, gift), ADA, HOME)
    for act in (
        lambda: enter_address(rt, who, gift.public_id, WEIMAR),
        lambda: send_link(rt, who, gift.public_id, ADA),
    ):
        with pytest.raises(AlreadyClaimed):
            act()
    assert logged(rt, "address.changed") == []


def test_the_link_goes_out_again_also_to_another_e_mail(rt, plan, who):
    gift = make_gift(rt, plan, wish_for(rt.today(), email="typo@example.org"))
    run_gifts(rt)
    assert deliver(rt) == ["typo@example.org"]

    send_link(rt, who, gift.public_id, ADA)
    assert deliver(rt) == [ADA]
    # Also where the mail was deleted since.
    rt.session.execute(sa.delete(OutboxMessage))
    rt.session.commit()
    send_link(rt, who, gift.public_id, ADA)
    assert deliver(rt) == [ADA]

    kept = rt.session.get_one(Gift, gift.id)
    assert kept.recipient_email == ADA
    assert kept.code_hash == hash_secret(code_of(rt, gift))
    assert by_code(rt.session, code_of(rt, gift)) is not None
    rt.session.rollback()
    entries = logged(rt, "gift.link_sent")
    assert [entry.after for entry in entries] == [
        {"is_other_email": True},
        {"is_other_email": False},
    ]
    assert ADA not in str([entry.after for entry in entries])


def test_no_link_goes_out_before_the_day_of_a_quiet_one_or_of_one_taken_back(rt, plan, who):
    later = make_gift(rt, plan, wish_for(rt.today().replace(day=20)))
    quiet = make_gift(rt, plan, wish_for(rt.today(), email="", is_quiet=True))
    run_gifts(rt)
    for gift in (later, quiet):
        with pytest.raises(NotMailed):
            send_link(rt, who, gift.public_id, ADA)
    assert waiting_mails(rt, "gift_received") == []


def test_no_link_goes_out_of_a_gift_whose_boxes_were_taken_back(rt, plan, who):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    give_back(rt, gift)

    with pytest.raises((NotMailed, GiftNotFound)):
        send_link(rt, who, gift.public_id, ADA)


def test_a_giver_erased_between_claim_and_lock_takes_no_box_along(rt, plan, clock):
    """The box past its cut-off was to go where they said; what is left of that is nothing."""
    gift = make_gift(rt, plan, wish_for(rt.today(), address=HOME))
    run_gifts(rt)
    cutoff = rt.session.scalar(sa.select(BoxCycle.cutoff_on).where(BoxCycle.key == "2027-03"))
    rt.session.rollback()
    clock.advance(days=(cutoff - rt.today()).days + 1)
    weimar = HOME | {"street": "Am Ufer 1", "postcode": "99423", "city": "Weimar"}
    claim(rt, code_of(rt, gift), ADA, weimar)
    ben = rt.session.get_one(Customer, gift.giver_id).public_id
    rt.session.rollback()

    assert ask_erasure(rt, ben).waits == ()
    run(rt, clock, 31)

    # Where it could go nowhere it takes the address since then that works.
    assert towns(rt, gift) == [("2027-03", "Weimar")]
    kept = str(rt.session.scalars(sa.select(Box.packing)).all())
    rt.session.rollback()
    assert "Ben" not in kept
    assert "gift" not in kept, "no card without words from nobody"


def test_what_came_back_is_told_with_the_address_that_box_went_to(rt, plan, clock, who):
    gift = make_gift(rt, plan, wish_for(rt.today(), address=HOME, email="", is_quiet=True))
    run(rt, clock, 31)
    [box] = rt.session.scalars(sa.select(Box.id).where(Box.locked_at.is_not(None))).all()
    note_returns(rt.session, [box], rt.moment())
    rt.session.commit()

    assert enter_address(rt, who, gift.public_id, WEIMAR)

    [sent] = waiting_mails(rt, "box_returned")
    text = compose(rt, sent).text
    rt.session.rollback()
    assert "Lindenweg 4, Jena" in text
    assert "Weimar" not in text


def test_two_gifts_of_one_giver_to_one_address_are_corrected_apart(rt, plan, who):
    gifts = [make_gift(rt, plan, wish_for(rt.today(), address=HOME)) for _ in range(2)]

    assert enter_address(rt, who, gifts[0].public_id, WEIMAR)

    assert [by_id(rt.session, one.public_id).goes_to["city"] for one in gifts] == ["Weimar", "Jena"]
    rt.session.rollback()
