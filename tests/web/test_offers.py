"""Mails about offers: agreed to with words as evidence, withdrawn with one click, seen by staff."""

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Consent, Customer
from storefront.operations.consents import Given
from storefront.queries.own_data import everything_of
from storefront.queries.subscriber_files import COLUMNS, subscriber_rows
from storefront.queries.subscribers import Filters
from storefront.runtime import Runtime
from storefront.services.marketing import NotConfirmed, set_marketing
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import desk
from tests.support.visitor import Visitor, customer_with_password

ADA, PAGE = "ada@example.org", "/account/privacy"
WORDS = "Mail me about new boxes and offers. I can stop that at any time with one click."
GIVEN = Given(WORDS, "offers 1 en", "192.0.2.7", "a browser")


@pytest.fixture
def ada(rt: Runtime) -> int:
    key = customer_with_password(rt, ADA)
    rt.session.execute(sa.update(Customer).values(email_verified_at=rt.now()))
    rt.session.commit()
    return key


@pytest.fixture
def visitor(app: Flask, ada: int) -> Visitor:
    visitor = Visitor.of(app)
    visitor.headers = {"Accept-Language": "en", "User-Agent": "a browser"}
    return visitor.sign_in(ADA)


def rows(rt: Runtime) -> list[tuple[str, str]]:
    found = rt.session.execute(sa.select(Consent.kind, Consent.text).order_by(Consent.id)).all()
    rt.session.rollback()
    return [(row.kind, row.text) for row in found]


def test_nothing_is_ticked_or_agreed_to_before_somebody_does(rt: Runtime, visitor: Visitor) -> None:
    page = visitor.get(PAGE).text
    assert WORDS in page
    assert "checked" not in page[page.index(WORDS) - 200 : page.index(WORDS)]
    visitor.post("/account/privacy/offers")
    assert rows(rt) == []


def test_yes_and_no_are_kept_word_for_word_and_the_last_one_holds(
    rt: Runtime, visitor: Visitor
) -> None:
    visitor.get(PAGE)
    visitor.post("/account/privacy/offers", offers="yes")
    page = visitor.get(PAGE).text
    assert "You get mails about new boxes and offers since" in page
    visitor.post("/account/privacy/offers", offers="yes")
    visitor.post("/account/privacy/offers", offers="no")
    assert rows(rt) == [("marketing", WORDS), ("marketing_off", "No more mails about offers")]
    row = rt.session.scalars(sa.select(Consent).order_by(Consent.id)).first()
    assert row is not None
    assert (row.text_version, row.user_agent) == ("offers 1 en", "a browser")
    assert row.ip
    rt.session.rollback()
    assert "You get mails about new boxes" not in visitor.get(PAGE).text


def test_who_never_confirmed_the_e_mail_cannot_agree_for_its_owner(
    rt: Runtime, ada: int, visitor: Visitor
) -> None:
    rt.session.execute(sa.update(Customer).values(email_verified_at=None))
    rt.session.commit()
    assert WORDS not in visitor.get(PAGE).text
    with pytest.raises(NotConfirmed):
        set_marketing(rt, ada, GIVEN, wants=True)
    visitor.post("/account/privacy/offers", offers="yes")
    assert rows(rt) == []


def test_a_change_of_mind_back_counts_anew(rt: Runtime, ada: int, clock: FrozenClock) -> None:
    assert set_marketing(rt, ada, GIVEN, wants=True)
    assert not set_marketing(rt, ada, GIVEN, wants=True)
    assert set_marketing(rt, ada, GIVEN, wants=False)
    assert not set_marketing(rt, ada, GIVEN, wants=False)
    clock.advance(days=3)
    assert set_marketing(rt, ada, GIVEN, wants=True)
    assert [kind for kind, _text in rows(rt)] == ["marketing", "marketing_off", "marketing"]


def test_staff_see_it_on_the_page_in_the_file_and_it_is_in_the_copy_of_ones_data(
    rt: Runtime, app: Flask
) -> None:
    sub = make.make_subscription(rt)
    rt.session.execute(sa.update(Customer).values(email_verified_at=rt.now()))
    rt.session.commit()
    ref = rt.session.scalars(sa.select(Customer.public_id)).one()
    rt.session.rollback()
    owner = desk(app, rt)
    assert "no mails about offers" in owner.get(f"/admin/subscribers/{ref}").text

    def in_file() -> list[str]:
        found = [row[COLUMNS.index("offers_since")] for row in _rows()]
        rt.session.rollback()
        return found

    def _rows() -> list[tuple[str, ...]]:
        return list(subscriber_rows(rt.session, Filters(), rt.shop.zone_info))

    assert in_file() == [""]
    set_marketing(rt, sub.customer_id or 0, GIVEN, wants=True)
    assert "wants mails about offers since" in owner.get(f"/admin/subscribers/{ref}").text
    assert in_file() == [rt.today().isoformat()]
    told = everything_of(rt.session, sub.customer_id or 0)["consents"]
    rt.session.rollback()
    assert WORDS in [row["text"] for row in told]
    set_marketing(rt, sub.customer_id or 0, GIVEN, wants=False)
    assert in_file() == [""]
