"""What goes into a box when a product in it has run out."""

from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.packing import StockBook
from storefront.domain.shortages import Policy, Rule, solve

VARIANTS = st.integers(1, 5)
PIECES = st.lists(
    st.tuples(VARIANTS, st.integers(1, 3)), max_size=4, unique_by=lambda each: each[0]
)
RULES = st.dictionaries(
    VARIANTS,
    st.one_of(
        st.builds(lambda other: Rule(Policy.SUBSTITUTE, other), VARIANTS),
        st.builds(lambda value: Rule(Policy.DROP, value=value), st.integers(0, 900)),
    ),
)


@given(
    st.lists(st.tuples(PIECES, PIECES), max_size=6),
    RULES,
    st.dictionaries(VARIANTS, st.integers(0, 8)),
)
def test_boxes_end_the_same_way_each_time_and_never_take_what_is_not_there(boxes, rules, stock):
    def run():
        book, found = StockBook(stock), []
        for fixed, others in boxes:
            solved = solve(fixed, others, rules, book)
            if solved is not None:
                assert book.take(solved.contents)
                wanted = sum(pieces for _key, pieces in (*fixed, *others))
                there = sum(pieces for _key, pieces in solved.contents)
                gone = sum(gap.pieces for gap in solved.gaps if gap.substitute is None)
                assert (there + gone, bool(there)) == (wanted, True)
            found.append(solved)
        assert all((book.left(key) or 0) >= 0 for key in stock)
        return found

    assert run() == run()


def test_a_substitute_has_no_substitute_and_is_nothing_the_subscriber_does_not_tolerate():
    rules = {1: Rule(Policy.SUBSTITUTE, 2), 2: Rule(Policy.SUBSTITUTE, 3)}
    book = StockBook({1: 0, 2: 0, 3: 5})
    assert solve([(1, 1)], [], rules, book) is None
    assert solve([(2, 1)], [], rules, book).contents == ((3, 1),)
    assert solve([(2, 1)], [], rules, book, barred={3}) is None


def test_a_box_waits_when_nothing_is_left_of_it_an_add_on_is_short_or_no_value_is_known():
    rules = {1: Rule(Policy.DROP, value=100), 2: Rule(Policy.DROP)}
    book = StockBook({1: 0, 2: 0, 3: 1})
    assert solve([(1, 1)], [], rules, book) is None
    assert solve([(1, 1)], [(1, 1)], rules, book) is None
    assert solve([(3, 1), (2, 1)], [], rules, book) is None
    assert solve([(3, 1), (1, 2)], [], rules, book).value == 200


@given(PIECES, RULES, st.dictionaries(VARIANTS, st.integers(0, 8)), st.sets(VARIANTS))
def test_what_is_not_tolerated_is_never_packed_by_a_recipe(fixed, rules, stock, barred):
    solved = solve(fixed, [], rules, StockBook(stock), barred)
    if solved is None:
        return
    assert not barred & {variant for variant, _pieces in solved.contents}
    wanted = sum(pieces for _variant, pieces in fixed)
    there = sum(pieces for _variant, pieces in solved.contents)
    gone = sum(gap.pieces for gap in solved.gaps if gap.substitute is None)
    assert there + gone == wanted
    assert all(gap.ran_out is (gap.variant not in barred) for gap in solved.gaps)
    assert {gap.variant for gap in solved.gaps} >= barred & {variant for variant, _n in fixed}


def test_another_comes_instead_else_its_value_goes_back_else_the_box_waits():
    rules = {
        1: Rule(Policy.SUBSTITUTE, 3, 500),
        2: Rule(Policy.HOLD, value=400),
        4: Rule(Policy.HOLD),
    }
    plenty = StockBook({1: 9, 2: 9, 3: 1, 4: 9})
    instead = solve([(1, 1), (2, 1)], [], rules, plenty, {1})
    assert (instead.contents, instead.value) == (((2, 1), (3, 1)), 0)
    left_out = solve([(1, 2), (2, 1)], [], rules, plenty, {1})
    assert (left_out.contents, left_out.value) == (((2, 1),), 1000)
    assert solve([(1, 1), (2, 1)], [], rules, plenty, {1, 2, 3}) is None
    assert solve([(1, 1), (4, 1)], [], rules, plenty, {4}) is None
    # That it waits for stock is said of what has run out, and not of this.
    assert solve([(1, 1), (2, 1)], [], rules, plenty, {2}).value == 400
    assert solve([(1, 1), (2, 1)], [], rules, StockBook({2: 0}), set()) is None


def test_what_was_asked_for_by_name_is_served_first_and_follows_its_own_rule():
    rules = {1: Rule(Policy.SUBSTITUTE, 3), 2: Rule(Policy.DROP, value=400)}
    # One tin for the recipe and the add-on: the add-on has it.
    found = solve([(1, 1), (4, 1)], [(1, 1)], rules, StockBook({1: 1, 3: 5}))
    assert found.contents == ((4, 1), (3, 1), (1, 1))
    assert [gap.by_name for gap in found.gaps] == [False]
    [gap] = solve([(4, 1)], [(2, 2)], rules, StockBook({2: 0})).gaps
    assert (gap.pieces, gap.substitute, gap.by_name, gap.value) == (2, None, True, 800)
    plenty = StockBook({1: 0, 3: 5})
    [gap] = solve([(4, 1)], [(1, 1)], rules, plenty).gaps
    assert (gap.substitute, gap.by_name, gap.ran_out) == (3, True, True)
    # What is not tolerated, and what is to come not again, bars what comes instead.
    assert solve([(4, 1)], [(1, 1)], rules, plenty, barred={3}) is None
    assert solve([(4, 1)], [(1, 1)], rules, plenty, not_again={3}) is None
    assert solve([(1, 1), (4, 1)], [], rules, plenty, not_again={3}) is not None
    assert solve([(4, 1)], [(5, 1)], rules, StockBook({5: 0})) is None
    # Missing in the recipe and as an add-on: nobody can say which of them is credited.
    assert solve([(2, 1), (4, 1)], [(2, 1)], rules, StockBook({2: 0})) is None


@given(PIECES, PIECES, RULES, st.dictionaries(VARIANTS, st.integers(0, 8)))
def test_what_was_asked_for_lacks_no_more_than_there_is(fixed, others, rules, stock):
    solved = solve(fixed, others, rules, StockBook(stock))
    if solved is None:
        return
    assert all(gap.variant in rules for gap in solved.gaps)
    for key, pieces in others:
        lack = sum(gap.pieces for gap in solved.gaps if gap.by_name and gap.variant == key)
        room = stock.get(key, pieces)
        assert lack == max(pieces - room, 0)
