"""Retention: the published example, curves that come back, cohorts at the edge."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.forecast import fit_sbg, sbg_survival


@pytest.mark.parametrize(
    ("survivors", "alpha", "beta"),
    [
        ([1000, 869, 743, 653, 593, 551, 517, 491], 0.668, 3.806),
        ([1000, 631, 468, 382, 326, 289, 262, 241], 0.704, 1.182),
    ],
)
def test_the_published_cohorts_are_fitted(survivors, alpha, beta):
    assert fit_sbg(survivors) == pytest.approx((alpha, beta), abs=0.001)


@given(st.floats(0.2, 20), st.floats(0.2, 20))
def test_a_curve_of_the_model_is_found_again(alpha, beta):
    curve = sbg_survival(alpha, beta, 12)

    again = sbg_survival(*fit_sbg(curve), 24)

    assert again == pytest.approx(sbg_survival(alpha, beta, 24), abs=0.005)


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.integers(0, 60))
def test_survival_falls_slower_and_slower(alpha, beta, periods):
    curve = sbg_survival(alpha, beta, periods)
    stay = [after / before for before, after in pairwise(curve)]

    assert len(curve) == periods + 1
    assert curve[0] == 1
    assert stay == sorted(stay)
    assert all(0 < share < 1 for share in stay)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=10), st.integers(1, 500))
def test_any_cohort_gives_a_model(losses, last):
    survivors = [last]
    for loss in losses:
        survivors.insert(0, survivors[0] + loss)

    alpha, beta = fit_sbg(survivors)

    assert alpha > 0
    assert beta > 0
    assert 0 <= sbg_survival(alpha, beta, 12)[-1] <= 1


def test_nobody_leaving_is_a_flat_curve_and_everybody_leaving_a_zero_one():
    assert sbg_survival(*fit_sbg([50, 50, 50]), 12)[-1] > 0.99
    assert sbg_survival(*fit_sbg([50, 0]), 12)[-1] < 0.01


@pytest.mark.parametrize("survivors", [[], [10], [0, 0], [10, 11], [10, 5, 6], [10, -1]])
def test_what_is_no_cohort_is_refused(survivors):
    with pytest.raises(ValueError, match=r"cohort|counts"):
        fit_sbg(survivors)


@pytest.mark.parametrize(("alpha", "beta", "periods"), [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_what_is_no_model_is_refused(alpha, beta, periods):
    with pytest.raises(ValueError, match="no such model"):
        sbg_survival(alpha, beta, periods)
