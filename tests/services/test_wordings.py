"""Questions and answers of a plan that are renamed, and what keeps the words it had."""

import pytest
import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.models import Option, OptionAnswer, OptionGroup, OptionWording, Subscription
from storefront.queries.answers import answers_page
from storefront.services import options
from storefront.services.answers import change_answers
from storefront.testing import factories
from tests.support.admin import make_staff
from tests.support.changing import fresh, one

FREE = Money(0, "EUR")


@pytest.fixture
def who(rt):
    return make_staff(rt)


@pytest.fixture
def plan(rt):
    made = factories.make_plan(rt, group=factories.make_group(rt))
    factories.make_options(rt, made)
    return made


def test_who_has_a_renamed_answer_keeps_it_and_what_was_said_keeps_its_words(rt, who, plan, clock):
    ref = plan.public_id
    (asked,) = (row.name for row in fresh(rt, OptionGroup))
    had = {"taste": "mild"}
    first = factories.make_subscription(rt, plan=plan, options=had)
    clock.advance(hours=1)
    assert options.rename_option(rt, who, ref, "taste", "mild", "Gentle") == "renamed"
    assert options.rename_question(rt, who, ref, "taste", "How strong?") == "renamed"
    clock.advance(hours=1)
    other = factories.make_customer(rt, email="b@example.org")
    second = factories.make_subscription(rt, plan=plan, customer=other, options=had)
    clock.advance(hours=1)
    assert options.rename_option(rt, who, ref, "taste", "mild", "Soft") == "renamed"
    assert options.rename_option(rt, who, ref, "taste", "mild", "Soft") == "same"
    assert [row.name for row in fresh(rt, OptionWording)] == ["Mild", asked, "Gentle"]
    assert one(rt, Subscription, first.id).options == had

    for sub in (first, second):
        assert not change_answers(rt, sub.customer_id, sub.public_id, had).is_new
        assert change_answers(rt, sub.customer_id, sub.public_id, {"taste": "strong"}).is_new
        change_answers(rt, sub.customer_id, sub.public_id, had)

    said = [(row.question_name, row.answer_name) for row in fresh(rt, OptionAnswer)]
    later = [("How strong?", "Strong"), ("How strong?", "Soft")]
    assert said == [(asked, "Mild"), *later, ("How strong?", "Gentle"), *later]
    page = answers_page(rt.session, first.customer_id, first.public_id, rt.moment())
    assert [(row.answer, row.now) for row in page.said] == [
        ("Soft", ""),
        ("Strong", ""),
        ("Mild", "Soft"),
    ]


def test_a_name_that_stands_there_is_refused_and_one_given_up_is_free_again(rt, who, plan):
    ref = plan.public_id
    with pytest.raises(options.OptionExists):
        options.rename_option(rt, who, ref, "taste", "mild", " STRONG")
    assert options.rename_option(rt, who, ref, "taste", "mild", "Gentle") == "renamed"
    for wrong in ("bitter", ""):
        with pytest.raises(options.UnknownOption):
            options.rename_option(rt, who, ref, "taste", wrong, "Other")
    with pytest.raises(options.UnknownOption):
        options.rename_question(rt, who, ref, "size", "Other")

    options.add_option(rt, who, ref, "taste", "mild", "Mild", FREE)
    with pytest.raises(options.OptionExists):
        options.add_option(rt, who, ref, "taste", "mild", "Gentle", FREE)
    options.add_question(rt, who, ref, "taste", "Another taste")

    codes = rt.session.execute(sa.select(Option.code, Option.name).order_by(Option.id)).all()
    assert [tuple(row) for row in codes][::2] == [("mild", "Gentle"), ("mild-2", "Mild")]
    assert sorted(row.code for row in fresh(rt, OptionGroup)) == ["taste", "taste-2"]
