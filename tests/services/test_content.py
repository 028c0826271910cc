"""Pages and questions of the merchant: written, ordered, told to every page, logged."""

import pytest
import sqlalchemy as sa

from storefront.domain.content import MOST_PAGES, MOST_QUESTIONS, SlugTaken, TooMany
from storefront.models import AuditEntry, ContentPage, FaqEntry, ShopSettings
from storefront.operations.catalogue import UnknownPlan
from storefront.queries import content as query
from storefront.runtime import Runtime
from storefront.services import content as service
from storefront.testing import factories as make
from tests.support.content import write_page, write_question
from tests.support.notices import make_writer


@pytest.fixture(autouse=True)
def shop(rt: Runtime) -> None:
    make.make_shop(rt)


def version(rt: Runtime) -> int:
    rt.forget_shop()
    return rt.shop.catalogue_version


def links(rt: Runtime) -> list[tuple[str, str]]:
    rt.forget_shop()
    return [(one["slug"], one["place"]) for one in rt.shop.content.get("links", ())]


def asked(rt: Runtime, plan: str = "") -> list[str]:
    found = [one["en"]["question"] for one in query.faq(rt.session, plan)]
    rt.session.rollback()
    return found


def test_every_change_of_a_page_is_told_to_every_page(rt: Runtime) -> None:
    assert links(rt) == []
    seen = [version(rt)]

    about = write_page(rt, "about-us")
    seen.append(version(rt))
    write_page(rt, "terms", "Terms", place="header")
    write_page(rt, "hidden", "Hidden", place="nowhere")
    draft = write_page(rt, "draft", "Draft", is_public=False)
    assert links(rt) == [("about-us", "footer"), ("terms", "header")]

    seen.append(version(rt))
    assert service.move_page_up(rt, make_writer(rt), draft)
    seen.append(version(rt))
    for _place in range(2):
        service.move_page_up(rt, make_writer(rt), draft)
    assert not service.move_page_up(rt, make_writer(rt), draft)
    texts = {"en": {"title": "Draft", "text": "Now public"}}
    service.save_page(rt, make_writer(rt), service.PageDraft("draft", texts, "footer", True), draft)
    assert links(rt)[0] == ("draft", "footer")

    seen.append(version(rt))
    service.remove_page(rt, make_writer(rt), about)
    seen.append(version(rt))
    assert links(rt) == [("draft", "footer"), ("terms", "header")]
    assert seen == sorted(set(seen))
    with pytest.raises(service.ContentGone):
        service.remove_page(rt, make_writer(rt), about)
    with pytest.raises(service.ContentGone):
        service.move_page_up(rt, make_writer(rt), about)


def test_two_pages_never_have_one_address(rt: Runtime) -> None:
    first = write_page(rt, "about-us")
    before = version(rt)
    with pytest.raises(SlugTaken):
        write_page(rt, "about-us", "Another")
    assert version(rt) == before

    other = write_page(rt, "other", "Another")
    draft = service.PageDraft("about-us", {"en": {"title": "A", "text": "b"}}, "footer", True)
    with pytest.raises(SlugTaken):
        service.save_page(rt, make_writer(rt), draft, other)
    assert service.save_page(rt, make_writer(rt), draft, first) == first
    assert [row.slug for row in query.pages(rt.session)] == ["about-us", "other"]
    rt.session.rollback()


def test_there_is_an_end_to_pages_and_questions(rt: Runtime) -> None:
    now = rt.now()
    rt.session.execute(
        sa.insert(ContentPage),
        [
            {
                "public_id": f"pg_{number}",
                "slug": f"p-{number}",
                "texts": {"en": {"title": "T", "text": "t"}},
                "place": "nowhere",
                "position": number,
                "is_public": True,
                "created_at": now,
                "changed_at": now,
            }
            for number in range(MOST_PAGES)
        ],
    )
    rt.session.commit()
    for number in range(MOST_QUESTIONS):
        write_question(rt, f"Question {number}?")
    with pytest.raises(TooMany):
        write_page(rt)
    with pytest.raises(TooMany):
        write_question(rt)
    # A plan has room of its own, and what is there can be written anew.
    make.make_plan(rt, code="pot")
    write_question(rt, plan="pot")
    draft = service.PageDraft("p-3", {"en": {"title": "T", "text": "t"}}, "footer", True)
    assert service.save_page(rt, make_writer(rt), draft, "pg_3") == "pg_3"
    assert links(rt) == [("p-3", "footer")]


def test_questions_stand_in_their_order_and_a_plans_own_come_first(rt: Runtime) -> None:
    make.make_plan(rt, code="pot")
    make.make_plan(rt, code="cup")
    assert rt.shop.content.get("has_faq") in (None, False)
    write_question(rt, "Shop one?")
    two = write_question(rt, "Shop two?")
    write_question(rt, "Pot?", plan="pot")
    moving = write_question(rt, "Moving?", plan="cup")
    write_question(rt, "Draft?", is_public=False)
    rt.forget_shop()
    assert rt.shop.content["has_faq"] is True

    assert asked(rt) == ["Shop one?", "Shop two?"]
    assert asked(rt, "pot") == ["Pot?", "Shop one?", "Shop two?"]
    assert asked(rt, "none") == ["Shop one?", "Shop two?"]

    who = make_writer(rt)
    assert service.move_question_up(rt, who, two)
    assert not service.move_question_up(rt, who, two)
    # The first of its plan has none of its own in front of it.
    assert not service.move_question_up(rt, who, moving)
    assert asked(rt) == ["Shop two?", "Shop one?"]

    texts = {"en": {"question": "Moving?", "answer": "Yes."}}
    service.save_question(rt, who, service.QuestionDraft(texts, True, "pot"), moving)
    assert asked(rt, "pot") == ["Pot?", "Moving?", "Shop two?", "Shop one?"]
    with pytest.raises(UnknownPlan):
        service.save_question(rt, who, service.QuestionDraft(texts, True, "none"), moving)

    rows = query.questions(rt.session)
    rt.session.rollback()
    for row in rows:
        service.remove_question(rt, who, row.ref)
    assert rt.session.query(FaqEntry).count() == 0
    rt.session.rollback()
    assert rt.shop.content["has_faq"] is False
    with pytest.raises(service.ContentGone):
        service.remove_question(rt, who, moving)


def test_a_draft_that_is_hidden_again_is_linked_no_more(rt: Runtime) -> None:
    ref = write_page(rt)
    question = write_question(rt)
    draft = service.PageDraft("about-us", {"en": {"title": "A", "text": "b"}}, "footer", False)
    service.save_page(rt, make_writer(rt), draft, ref)
    texts = {"en": {"question": "Q?", "answer": "A."}}
    service.save_question(rt, make_writer(rt), service.QuestionDraft(texts, False), question)
    told = rt.session.scalar(sa.select(ShopSettings.content))
    rt.session.rollback()
    assert told == {"links": [], "has_faq": False, "has_codes": False}


def test_the_log_says_who_wrote_what(rt: Runtime) -> None:
    ref = write_page(rt, de=("Über uns", "Wir brauen."))
    service.remove_page(rt, make_writer(rt), ref)
    rows = rt.session.query(AuditEntry).order_by(AuditEntry.id).all()
    saved, removed = rows[-2:]
    assert (saved.action, saved.after["title"]) == ("page.saved", "About us")
    assert (removed.action, removed.before["slug"], removed.after) == (
        "page.removed",
        "about-us",
        {},
    )
    rt.session.rollback()
