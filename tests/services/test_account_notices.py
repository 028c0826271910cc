"""Notices of the account, made of the mails that matter, and announcements of the merchant."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.blueprints.account.notice_words import _TEXTS
from storefront.domain.account_notices import LASTS, SHOWN, TOPICS
from storefront.extensions import db
from storefront.mails import TOPICS as MAILS
from storefront.models import AnnouncementDismissal, Customer, OutboxMessage
from storefront.queries.account_notices import News, announcements, news, notices
from storefront.queries.own_data import everything_of
from storefront.runtime import Runtime
from storefront.services.account_notices import (
    Announced,
    NoticeNotFound,
    announce,
    dismiss,
    mark_read,
    withdraw,
)
from storefront.services.erasure import ask_erasure
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.notices import make_announcement, make_notice, make_writer
from tests.support.orders import in_parallel


@pytest.fixture
def ada(rt: Runtime) -> Customer:
    return make.make_customer(rt, email="ada@example.org")


def news_of(rt: Runtime, customer: Customer) -> News:
    found = news(rt.session, customer.id, rt.moment())
    rt.session.rollback()
    return found


def listed(rt: Runtime, customer: Customer) -> list[tuple[str, bool]]:
    found = notices(rt.session, customer.id, rt.moment())
    rt.session.rollback()
    return [(one.ref, one.is_read) for one in found]


def test_every_notice_is_a_mail_and_has_its_words() -> None:
    assert set(_TEXTS) == TOPICS
    assert set(MAILS) >= TOPICS


def test_mails_that_matter_are_notices_until_they_are_read(
    rt: Runtime, ada: Customer, clock: FrozenClock
) -> None:
    make_notice(rt, make.make_customer(rt))
    refs = []
    for number in range(5):
        clock.advance(minutes=1)
        refs.append(make_notice(rt, ada, key=str(number)))
    make_notice(rt, ada, "receipt")
    found = news_of(rt, ada)
    assert found.unread == 5
    assert [one.ref for one in found.notices] == refs[::-1][:SHOWN]

    mark_read(rt, ada.id, refs[4])
    mark_read(rt, ada.id, refs[4])
    assert (news_of(rt, ada).unread, news_of(rt, ada).notices[0].ref) == (4, refs[3])
    mark_read(rt, ada.id, refs[2], all_before=True)
    is_read = [(refs[4], True), (refs[3], False), *((ref, True) for ref in refs[2::-1])]
    assert listed(rt, ada) == is_read
    assert news_of(rt, ada).unread == 1
    mails = everything_of(rt.session, ada.id)["mails"]
    rt.session.rollback()
    assert [one["read_at"] is None for one in mails] == [False, False, False, True, False, True]


def test_a_notice_is_there_once_its_mail_is_due_and_goes_with_time_or_when_stopped(
    rt: Runtime, ada: Customer, clock: FrozenClock
) -> None:
    make_notice(rt, ada, key="now")
    for key, values in (
        ("later", {"due_at": rt.now() + timedelta(days=1)}),
        ("stopped", {"state": "stopped"}),
    ):
        ref = make_notice(rt, ada, key=key)
        mine = OutboxMessage.public_id == ref
        rt.session.execute(sa.update(OutboxMessage).where(mine).values(**values))
        rt.session.commit()
    assert news_of(rt, ada).unread == 1
    clock.advance(days=1)
    assert news_of(rt, ada).unread == 2
    clock.advance(days=LASTS.days)
    assert news_of(rt, ada) == News()
    assert listed(rt, ada) == []


def test_what_is_somebody_else_s_is_not_there(rt: Runtime, ada: Customer) -> None:
    bob = make.make_customer(rt)
    ref, plain = make_notice(rt, bob), make_notice(rt, ada, "receipt")
    for wrong in (ref, plain, "msg_missing"):
        with pytest.raises(NoticeNotFound):
            mark_read(rt, ada.id, wrong)
    assert news_of(rt, bob).unread == 1


def test_one_statement_reads_what_a_page_needs(rt: Runtime, ada: Customer) -> None:
    for number in range(4):
        make_notice(rt, ada, key=str(number))
        make_announcement(rt, f"News {number}")
    statements: list[str] = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    moment = rt.moment()
    rt.session.rollback()
    statements.clear()
    found = news(rt.session, ada.id, moment)
    rt.session.rollback()
    assert len([one for one in statements if "SELECT" in one.upper()]) == 1
    assert (found.unread, len(found.notices), len(found.banners)) == (4, 3, 3)
    assert found.banners[0].texts == {"en": {"title": "News 3", "text": ""}}


def test_an_announcement_is_shown_on_its_days_to_whom_it_is_for(
    rt: Runtime, ada: Customer, clock: FrozenClock
) -> None:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    make.make_subscription(rt, plan=plan, customer=ada)
    other = make.make_plan(rt, code="other")
    bob = make.make_customer(rt)
    to_all, to_plan = make_announcement(rt), make_announcement(rt, plan=plan.code)
    make_announcement(rt, plan=other.code)
    first = rt.today() + timedelta(days=2)
    texts = {"en": {"title": "Later", "text": "x"}}
    later = announce(rt, make_writer(rt), Announced(texts, first, first))

    assert [one.ref for one in news_of(rt, ada).banners] == [to_plan, to_all]
    assert [one.ref for one in news_of(rt, bob).banners] == [to_all]
    clock.advance(days=2)
    assert later in [one.ref for one in news_of(rt, ada).banners]
    clock.advance(days=1)
    assert later not in [one.ref for one in news_of(rt, ada).banners]
    clock.advance(days=1)
    assert news_of(rt, ada).banners == ()


def test_who_puts_it_away_does_not_see_it_again_and_what_is_over_is_forgotten(
    app: Flask, rt: Runtime, ada: Customer, clock: FrozenClock
) -> None:
    ref, bob, key = make_announcement(rt), make.make_customer(rt), ada.id
    in_parallel(app, 3, lambda own, _number: dismiss(own, key, ref))
    dismiss(rt, ada.id, ref)
    assert news_of(rt, ada).banners == ()
    assert len(news_of(rt, bob).banners) == 1
    assert [one.dismissed for one in announcements(rt.session)] == [1]
    rt.session.rollback()

    clock.advance(days=10)
    with pytest.raises(NoticeNotFound):
        dismiss(rt, bob.id, ref)
    dismiss(rt, ada.id, make_announcement(rt, "Another"))
    rows = sa.select(sa.func.count(AnnouncementDismissal.id))
    assert rt.session.scalar(rows) == 1
    rt.session.rollback()
    assert ask_erasure(rt, ada.public_id).is_done
    assert rt.session.scalar(rows) == 0
    rt.session.rollback()


def test_an_announcement_is_changed_in_place_and_taken_away_with_its_dismissals(
    rt: Runtime, ada: Customer
) -> None:
    who, ref = make_writer(rt), make_announcement(rt)
    dismiss(rt, ada.id, ref)
    today = rt.today()
    texts = {"en": {"title": "We moved twice", "text": ""}, "de": {"title": "Neu", "text": ""}}
    assert announce(rt, who, Announced(texts, today, today), ref) == ref
    (row,) = announcements(rt.session)
    rt.session.rollback()
    assert (row.texts, row.until_on, row.dismissed) == (texts, today, 1)
    for _ in range(2):
        with pytest.raises(NoticeNotFound):
            announce(rt, who, Announced(texts, today, today), "ann_missing")
        with pytest.raises(NoticeNotFound):
            announce(rt, who, Announced(texts, today, today, "no-plan"))
    withdraw(rt, who, ref)
    with pytest.raises(NoticeNotFound):
        withdraw(rt, who, ref)
    assert announcements(rt.session) == ()
    rt.session.rollback()
