"""Conversations between a subscriber and the shop: asked, answered, noted, closed, taken away."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.inquiries import InquiryNotFound, NewerMessage
from storefront.mails import compose
from storefront.models import Customer, Inquiry, InquiryMessage, Subscription
from storefront.queries.inquiries import Conversation, choices, conversation, listed, own
from storefront.queries.own_data import everything_of
from storefront.queries.worklists import counts
from storefront.runtime import Runtime
from storefront.services.erasure import ask_erasure
from storefront.services.inquiries import answer, close, note, reply
from storefront.services.merging import merge_customers
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff
from tests.support.inquiries import make_inquiry
from tests.support.orders import in_parallel
from tests.support.paying import waiting_mails

CARD = "4242 4242 4242 4242"


@pytest.fixture
def ada(rt: Runtime) -> Customer:
    return make.make_customer(rt, email="ada@example.org", name="Ada")


def talk_of(rt: Runtime, ref: str, customer: Customer | None = None) -> Conversation:
    found = conversation(rt.session, ref, customer.id if customer else None)
    rt.session.rollback()
    assert found is not None
    return found


def waits(rt: Runtime) -> int:
    found = counts(rt.session, rt.moment(), "EUR")["inquiries"].count
    rt.session.rollback()
    return found


def count(rt: Runtime, model: Any) -> Any:
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model))
    rt.session.rollback()
    return found


def test_a_question_waits_for_the_shop_and_is_mailed_to_its_contact_address(
    rt: Runtime, ada: Customer
) -> None:
    ref = make_inquiry(rt, ada, subject="Cracked cup", text="Two lines.\nMy card is " + CARD)

    assert waits(rt) == 1
    said = talk_of(rt, ref).said
    assert [one.text for one in said] == ["Two lines.\nMy card is •••• •••• •••• 4242"]
    (waiting,) = waiting_mails(rt, "inquiry_received")
    mail = compose(rt, waiting)
    rt.session.rollback()
    assert mail is not None
    assert mail.to == "hello@ninekettles.example"
    assert mail.subject == "Ada asks: Cracked cup"
    assert f"/admin/inquiries/{ref}" in mail.text
    assert "Two lines." in mail.text
    assert "4242 4242" not in mail.text


def test_an_answer_is_mailed_with_a_link_and_a_reply_opens_it_again(
    rt: Runtime, ada: Customer, clock: FrozenClock
) -> None:
    who, ref = make_staff(rt, "support"), make_inquiry(rt, ada)
    clock.advance(hours=1)
    answer(rt, who, ref, f"It left today. Never send {CARD}", "a", seen=1)
    assert (waits(rt), talk_of(rt, ref).row.state) == (0, "answered")
    (waiting,) = waiting_mails(rt, "inquiry_answered")
    mail = compose(rt, waiting)
    rt.session.rollback()
    assert mail is not None
    assert mail.to == "ada@example.org"
    assert "It left today." in mail.text
    assert CARD not in mail.text
    assert f"/account/inquiries/{ref}" in mail.text

    close(rt, who, ref, seen=2)
    assert talk_of(rt, ref).row.state == "closed"
    clock.advance(hours=1)
    reply(rt, ada.id, ada.public_id, ref, "It came. Thank you.", "b")
    assert (waits(rt), talk_of(rt, ref).row.state) == (1, "open")
    assert len(waiting_mails(rt, "inquiry_received")) == 2


def test_notes_are_for_the_staff_alone_and_change_nothing(rt: Runtime, ada: Customer) -> None:
    who, ref = make_staff(rt, "support"), make_inquiry(rt, ada)
    note(rt, who, ref, "She asked before", "n")

    assert [one.author for one in talk_of(rt, ref).said] == ["customer", "note"]
    assert talk_of(rt, ref).said[1].by == "Mia support"
    assert [one.author for one in talk_of(rt, ref, ada).said] == ["customer"]
    assert waits(rt) == 1
    assert waiting_mails(rt, "inquiry_answered") == []
    own_words = str(everything_of(rt.session, ada.id)["inquiries"])
    rt.session.rollback()
    assert "Where is my box?" in own_words
    assert "She asked before" not in own_words


def test_what_was_written_meanwhile_is_read_before_it_is_answered_or_closed(
    rt: Runtime, ada: Customer
) -> None:
    who, ref = make_staff(rt, "support"), make_inquiry(rt, ada)
    reply(rt, ada.id, ada.public_id, ref, "And the cup is cracked", "b")
    with pytest.raises(NewerMessage):
        answer(rt, who, ref, "It left today.", "a", seen=1)
    rt.session.rollback()
    with pytest.raises(NewerMessage):
        close(rt, who, ref, seen=1)
    rt.session.rollback()
    assert len(talk_of(rt, ref).said) == 2
    answer(rt, who, ref, "Both are on their way.", "a", seen=2)
    close(rt, who, ref, seen=3)
    close(rt, who, ref, seen=3)
    assert talk_of(rt, ref).row.state == "closed"


def test_a_page_sent_twice_says_it_once_also_at_the_same_moment(
    app: Flask, rt: Runtime, ada: Customer
) -> None:
    who, key, ref = make_staff(rt, "support"), ada.id, ada.public_id
    found: list[str] = []

    def act(other: Runtime, _number: int) -> None:
        owner = Customer(id=key, public_id=ref)
        talk = make_inquiry(other, owner)
        found.append(talk)
        reply(other, key, ref, talk, "Hello?", "b")

    in_parallel(app, 4, act)
    assert len(set(found)) == 1
    seen = len(talk_of(rt, found[0]).said)
    for _ in range(2):
        answer(rt, who, found[0], "Here.", "a", seen=seen)
        note(rt, who, found[0], "Here.", "a")
    assert [one.author for one in talk_of(rt, found[0]).said] == [
        "customer",
        "customer",
        "staff",
        "note",
    ]
    assert len(waiting_mails(rt, "inquiry_received")) == 2
    assert len(waiting_mails(rt, "inquiry_answered")) == 1
    # Another text, or somebody else with the same page, is another message.
    bob = make.make_customer(rt)
    assert make_inquiry(rt, ada, text="Another") not in found
    assert make_inquiry(rt, bob) not in found


def test_only_own_things_can_be_asked_about(rt: Runtime, ada: Customer) -> None:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    mine = make.make_subscription(rt, plan=plan, customer=ada)
    other = make.make_subscription(rt, plan=plan, customer=make.make_customer(rt))
    things = choices(rt.session, ada.id)
    rt.session.rollback()
    assert [one.kind for one in things] == ["subscription", "box", "invoice"]
    assert things[0].ref == mine.public_id

    for number, thing in enumerate(things):
        about = talk_of(rt, make_inquiry(rt, ada, f"page-{number}", about=thing.ref)).about
        assert about == thing
    foreign = make_inquiry(rt, ada, "foreign", about=other.public_id)
    assert talk_of(rt, foreign).about is None


def test_lists_are_paged_and_searched_by_customer(
    rt: Runtime, ada: Customer, clock: FrozenClock
) -> None:
    bob = make.make_customer(rt, email="bob@example.org", name="Bob 100%")
    refs = []
    for number in range(35):
        clock.advance(minutes=number % 3)
        refs.append(make_inquiry(rt, ada, f"page-{number}"))
    of_bob = make_inquiry(rt, bob)
    first = own(rt.session, ada.id)
    second = own(rt.session, ada.id, first.older or "")
    assert [one.ref for one in (*first.rows, *second.rows)] == refs[::-1]
    assert second.older is None
    for q in ("bob@ex", "100%", bob.public_id, of_bob):
        assert [one.ref for one in listed(rt.session, "open", q).rows] == [of_bob]
    assert listed(rt.session, "closed").rows == ()
    assert len(listed(rt.session, q="ada").rows) == 30
    rt.session.rollback()


def test_what_is_somebody_else_s_is_not_there(rt: Runtime, ada: Customer) -> None:
    ref, bob = make_inquiry(rt, ada), make.make_customer(rt)
    assert conversation(rt.session, ref, bob.id) is None
    rt.session.rollback()
    with pytest.raises(InquiryNotFound):
        reply(rt, bob.id, bob.public_id, ref, "Mine", "b")
    who = make_staff(rt, "support")
    with pytest.raises(InquiryNotFound):
        answer(rt, who, "inq_missing", "Hello", "a", seen=1)


def test_a_conversation_goes_with_a_merged_account_and_away_with_an_erased_one(
    rt: Runtime, ada: Customer
) -> None:
    who, old = make_staff(rt), make.make_customer(rt, email="old@example.org")
    ref = make_inquiry(rt, old, text="I am Ada too")
    answer(rt, who, ref, "Hello Ada", "a", seen=1)
    note(rt, who, ref, "Ada again", "n")
    merge_customers(rt, who, ada.public_id, old.public_id)
    assert talk_of(rt, ref, ada).row.email == "ada@example.org"

    assert ask_erasure(rt, ada.public_id).is_done
    assert (count(rt, Inquiry), count(rt, InquiryMessage)) == (0, 0)
    for topic in ("inquiry_received", "inquiry_answered"):
        for waiting in waiting_mails(rt, topic):
            assert compose(rt, waiting) is None
    rt.session.rollback()
    assert count(rt, Subscription) == 0
