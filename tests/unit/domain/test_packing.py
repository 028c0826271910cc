"""Which of several recipes a box is packed by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.packing import (
    RecipeFacts,
    answers_in,
    choose_recipe,
    option_keys,
    precedence,
    recipe_key,
)

QUESTIONS = {"size": ["large", "small"], "taste": ["mild", "strong"], "milk": ["no", "yes"]}
#: What a box may have answered: nothing to some questions.
BOXES = st.fixed_dictionaries({}, optional={q: st.sampled_from(a) for q, a in QUESTIONS.items()})


def recipe(key="", *, number=1, is_standing=False, items=((1, 1),), pool=()):
    return RecipeFacts(number, is_standing, key, tuple(items), pool=tuple(pool))


@st.composite
def recipes(draw):
    """Return recipes of one plan as they are stored: no two for the same cycle and answers."""
    scopes = draw(st.sets(st.tuples(st.booleans(), BOXES.map(option_keys).map(recipe_key))))
    return [
        recipe(
            key,
            number=number,
            is_standing=is_standing,
            items=draw(st.sampled_from([(), ((1, 2),)])),
        )
        for number, (is_standing, key) in enumerate(sorted(scopes), start=1)
    ]


@given(recipes(), BOXES, st.randoms(use_true_random=False))
def test_the_recipe_packed_does_not_depend_on_the_order_they_are_read_in(found, options, chance):
    mixed = chance.sample(found, len(found))

    assert choose_recipe(mixed, options) == choose_recipe(found, options)


@given(recipes(), BOXES)
def test_it_fits_the_box_holds_something_and_none_that_fits_comes_before_it(found, options):
    packed = choose_recipe(found, options)
    given_answers = set(option_keys(options))
    fitting = [one for one in found if one.items and answers_in(one.option_key) <= given_answers]

    assert (packed is None) == (not fitting)
    if packed is None:
        return
    assert packed in fitting
    for other in fitting:
        # Never a standing one before the cycle's own, never one for fewer answers.
        assert packed.is_standing <= other.is_standing
        if packed.is_standing == other.is_standing:
            assert len(answers_in(packed.option_key)) >= len(answers_in(other.option_key))


@given(recipes())
def test_no_two_recipes_of_a_plan_are_equally_specific(found):
    assert len({precedence(one)[:3] for one in found}) == len(found)


@given(recipes(), BOXES)
def test_one_more_answer_never_makes_a_recipe_less_specific(found, options):
    packed = choose_recipe(found, options)
    for question in options:
        fewer = {q: a for q, a in options.items() if q != question}
        before = choose_recipe(found, fewer)
        if before is not None:
            assert packed is not None
            assert precedence(packed) <= precedence(before)


@given(st.sets(st.sampled_from([f"{q}={a}" for q, own in QUESTIONS.items() for a in own])))
def test_a_key_names_its_answers_in_one_order_only(answers):
    assert answers_in(recipe_key(answers)) == answers
    assert recipe_key(sorted(answers, reverse=True)) == recipe_key(answers)


@pytest.mark.parametrize(
    ("options", "packed"),
    [
        ({}, ""),
        ({"size": "small"}, ""),
        ({"taste": "mild"}, "taste=mild"),
        ({"size": "large", "taste": "strong"}, "size=large"),
        # For both answers there is one, which comes before either alone.
        ({"size": "large", "taste": "mild"}, "size=large&taste=mild"),
        ({"size": "large", "taste": "mild", "milk": "yes"}, "size=large&taste=mild"),
    ],
)
def test_the_recipe_for_the_most_answers_is_packed(options, packed):
    found = [
        recipe(key, number=number)
        for number, key in enumerate(["", "size=large", "taste=mild", "size=large&taste=mild"])
    ]

    assert choose_recipe(found, options).option_key == packed


def test_of_two_recipes_for_as_many_answers_the_first_by_name_is_packed():
    found = [recipe("taste=mild", number=1), recipe("size=large", number=2)]

    assert choose_recipe(found, {"taste": "mild", "size": "large"}).option_key == "size=large"


def test_a_recipe_of_the_cycle_comes_before_a_standing_one_for_more_answers():
    april = recipe("", number=1)
    standing = recipe("size=large&taste=mild", number=2, is_standing=True)

    assert choose_recipe([standing, april], {"taste": "mild", "size": "large"}) == april


def test_a_recipe_without_pieces_is_passed_over_and_one_with_a_pool_is_not():
    empty, pool = recipe("taste=mild", items=()), recipe("", items=(), pool=((1, 2),))

    assert choose_recipe([empty, pool], {"taste": "mild"}) == pool
