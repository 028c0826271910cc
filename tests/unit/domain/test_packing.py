"""Which of several recipes a box is packed by."""

from dataclasses import replace

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
from storefront.domain.recipe_scopes import BoxFacts, Scope, key_of, scope_of

QUESTIONS = {"size": ["large", "small"], "taste": ["mild", "strong"], "milk": ["no", "yes"]}
#: What a box may have answered: nothing to some questions.
BOXES = st.fixed_dictionaries({}, optional={q: st.sampled_from(a) for q, a in QUESTIONS.items()})


def box(options, country="DE", number=3):
    return BoxFacts(options, country, number)


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

    assert choose_recipe(mixed, box(options)) == choose_recipe(found, box(options))


@given(recipes(), BOXES)
def test_it_fits_the_box_holds_something_and_none_that_fits_comes_before_it(found, options):
    packed = choose_recipe(found, box(options))
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
    assert len({precedence(one)[:-1] for one in found}) == len(found)


@given(recipes(), BOXES)
def test_one_more_answer_never_makes_a_recipe_less_specific(found, options):
    packed = choose_recipe(found, box(options))
    for question in options:
        fewer = {q: a for q, a in options.items() if q != question}
        before = choose_recipe(found, box(fewer))
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

    assert choose_recipe(found, box(options)).option_key == packed


def test_of_two_recipes_for_as_many_answers_the_first_by_name_is_packed():
    found = [recipe("taste=mild", number=1), recipe("size=large", number=2)]

    assert choose_recipe(found, box({"taste": "mild", "size": "large"})).option_key == "size=large"


def test_a_recipe_of_the_cycle_comes_before_a_standing_one_for_more_answers():
    april = recipe("", number=1)
    standing = recipe("size=large&taste=mild", number=2, is_standing=True)

    assert choose_recipe([standing, april], box({"taste": "mild", "size": "large"})) == april


def test_a_recipe_without_pieces_is_passed_over_and_one_with_a_pool_is_not():
    empty, pool = recipe("taste=mild", items=()), recipe("", items=(), pool=((1, 2),))

    assert choose_recipe([empty, pool], box({"taste": "mild"})) == pool


ANSWERS = BOXES.map(option_keys).map(frozenset)
SPANS = st.sampled_from([(1, None), (1, 1), (2, None), (2, 3), (1, 4), (5, None)])
SCOPES = st.builds(
    lambda answers, countries, span: Scope(answers, countries, *span),
    ANSWERS,
    st.frozensets(st.sampled_from(["AT", "CH", "DE"]), max_size=2),
    SPANS,
)
FACTS = st.builds(BoxFacts, BOXES, st.sampled_from(["", "AT", "CH", "DE", "FR"]), st.integers(0, 9))


@st.composite
def written(draw):
    """Return recipes of one plan as they can be entered: one that ties with another is refused."""
    kept: list[tuple[bool, Scope]] = []
    for is_standing, scope in draw(st.lists(st.tuples(st.booleans(), SCOPES), max_size=8)):
        own = [other for standing, other in kept if standing == is_standing]
        if scope not in own and not any(scope.ties_with(other) for other in own):
            kept.append((is_standing, scope))
    return [
        recipe(key_of(scope), number=number, is_standing=is_standing)
        for number, (is_standing, scope) in enumerate(kept, start=1)
    ]


@given(written(), FACTS, st.randoms(use_true_random=False))
def test_of_recipes_for_some_boxes_the_order_and_the_numbers_decide_nothing(found, facts, chance):
    packed = choose_recipe(found, facts)
    numbers = chance.sample(range(1, 100), len(found))
    renamed = [replace(one, id=number) for one, number in zip(found, numbers, strict=True)]
    mixed = choose_recipe(chance.sample(renamed, len(renamed)), facts)

    assert (packed is None) == (mixed is None)
    if packed is not None:
        assert (packed.is_standing, packed.option_key) == (mixed.is_standing, mixed.option_key)
        assert packed.scope.fits(facts)
        fitting = [one for one in found if one.scope.fits(facts)]
        # Nothing but ids would tell it from another one.
        assert sum(precedence(one)[:-1] == precedence(packed)[:-1] for one in fitting) == 1
        for other in fitting:
            if other.is_standing == packed.is_standing:
                assert bool(packed.scope.countries) >= bool(other.scope.countries)


@given(SCOPES)
def test_a_key_says_what_a_recipe_is_for_in_one_way_only(scope):
    assert scope_of(key_of(scope)) == scope
    assert key_of(scope_of(key_of(scope))) == key_of(scope)


@given(SCOPES, SCOPES, FACTS)
def test_two_that_no_rule_tells_apart_are_known_to_tie_in_whatever_order(one, other, facts):
    assert one.ties_with(other) == other.ties_with(one)
    kinds = [(each.answers, bool(each.countries), each.names_boxes) for each in (one, other)]
    if one != other and kinds[0] == kinds[1] and one.fits(facts) and other.fits(facts):
        assert one.ties_with(other)


@pytest.mark.parametrize(
    ("facts", "packed"),
    [
        (BoxFacts({}, "DE", 2), ""),
        (BoxFacts({}, "DE", 1), "#1"),
        # What somebody asked for comes before what we like to give.
        (BoxFacts({"taste": "mild"}, "DE", 1), "taste=mild"),
        (BoxFacts({"taste": "mild"}, "DE", 2), "taste=mild"),
        (BoxFacts({"taste": "mild"}, "DE", 13), "taste=mild"),
        (BoxFacts({"taste": "dark"}, "DE", 13), "#13-"),
        # What may not be sent to a country stays out of first boxes, too.
        (BoxFacts({}, "AT", 1), "@AT+CH"),
        (BoxFacts({"taste": "mild"}, "CH", 2), "@AT+CH"),
        # Nothing is known of it: neither a country nor a number is made up.
        (BoxFacts({}, "", 0), ""),
    ],
)
def test_countries_come_before_answers_and_answers_before_boxes(facts, packed):
    found = [recipe(key) for key in ("", "#1", "#13-", "@AT+CH", "taste=mild")]

    assert choose_recipe(found, facts).option_key == packed
    standing = [replace(one, is_standing=True) for one in found]
    april = recipe("", number=99)
    assert choose_recipe([*standing, april], facts) == april


def test_a_tie_is_one_box_that_fits_two_and_no_rule_between_them():
    first = scope_of("#1")
    assert first.ties_with(scope_of("#1-3"))
    assert not first.ties_with(scope_of("#2-3"))
    assert not first.ties_with(scope_of("#1-3&taste=mild"))
    assert not first.ties_with(scope_of("@AT"))
    assert scope_of("@AT+DE").ties_with(scope_of("@CH+DE"))
    assert scope_of("#2-&@AT").ties_with(scope_of("#5&@AT"))
    assert not scope_of("#2-&@AT").ties_with(scope_of("#5&@CH"))
    assert not scope_of("size=large").ties_with(scope_of("taste=mild"))
