"""The longest time the law of a place lets a customer be bound, in boxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.least_terms import LIMITS, least_allowed, limit_in
from storefront.domain.periods import Interval

MONTH = Interval("month")


@pytest.mark.parametrize(
    ("least", "each", "country", "region", "allowed"),
    [
        (9, MONTH, "DK", "", 6),
        (6, MONTH, "DK", "", 6),
        (9, Interval("month", 2), "DK", "", 3),
        (9, Interval("week", 4), "DK", "", 6),
        (60, Interval("week"), "AT", "", 51),
        (60, MONTH, "DE", "", 24),
        (13, MONTH, "NL", "", 12),
        (2, Interval("year"), "AT", "", 1),
        (9, MONTH, "US", "CA", 0),
        (9, MONTH, "US", "california", 0),
        (9, MONTH, "US", "NY", 9),
        (9, MONTH, "US", "", 9),
        (9, MONTH, "FR", "", 9),
        (9, MONTH, "", "", 9),
    ],
)
def test_boxes_beyond_the_limit_do_not_bind(
    least: int, each: Interval, country: str, region: str, allowed: int
) -> None:
    assert least_allowed(least, each, country, region) == allowed


@given(
    st.integers(0, 60),
    st.sampled_from(["AT", "DE", "DK", "NL", "US", "FR"]),
    st.sampled_from(["", "CA", "NY"]),
    st.sampled_from([Interval("day", 10), Interval("week"), MONTH, Interval("month", 3)]),
)
def test_a_limit_never_binds_for_longer_than_was_asked(
    least: int, country: str, region: str, each: Interval
) -> None:
    allowed = least_allowed(least, each, country, region)

    assert 0 <= allowed <= least
    assert least_allowed(allowed, each, country, region) == allowed
    if limit_in(country, region) is None:
        assert allowed == least


def test_every_row_names_its_source_once() -> None:
    assert all(one.source and one.months >= 0 for one in LIMITS)
    assert len({(one.country, one.region) for one in LIMITS}) == len(LIMITS)
