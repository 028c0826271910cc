"""Codes of private plans, as they are typed and as they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.access_codes import LONGEST, SHORTEST, access_code


@pytest.mark.parametrize("typed", ["FRIENDS-2027", " friends 2027 ", "F-R-iends\t2027"])
def test_capitals_spaces_and_dashes_do_not_matter(typed: str):
    assert access_code(typed) == "FRIENDS2027"


@pytest.mark.parametrize("typed", ["", "abcde", "x" * 41, "friends!", "freünde", "a_bcdef"])
def test_what_no_plan_can_have_is_no_code(typed: str):
    assert access_code(typed) == ""


@given(st.text(max_size=60))
def test_a_code_as_it_is_kept_reads_as_itself(typed: str):
    code = access_code(typed)
    assert access_code(code) == code
    assert code == "" or SHORTEST <= len(code) <= LONGEST
