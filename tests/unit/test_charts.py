"""Charts tell the truth: from zero, with gaps shown, every line named."""

import re

import pytest

from storefront.charts import Point, Series, bar_chart, line_chart, nice_scale, sparkline


def points(*values):
    return [Point(str(n), value) for n, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 68, [0, 20, 40, 60, 80]),
        (-25, 75, [-25, 0, 25, 50, 75]),
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (0, 0, [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_a_scale_has_round_steps(low, high, ticks):
    assert nice_scale(low, high).ticks() == ticks


def test_bars_start_at_zero_even_if_all_are_high():
    drawn = bar_chart([Series("New", points(90, 95, 99))])
    assert ">0</text>" in drawn


def test_bars_below_zero_hang_down():
    drawn = bar_chart([Series("New", points(30, 40)), Series("Left", points(-10, -20))])
    zero = float(re.search(r'class="zero" d="M\d+ ([\d.]+)H', drawn)[1])
    lost = [float(y) for y in re.findall(r'class="bar c2" x="[\d.]+" y="([\d.]+)" width', drawn)]
    assert lost[:2] == [zero, zero]
    assert "−20" in drawn


def test_a_gap_breaks_the_line():
    drawn = line_chart([Series("Kept", points(100, 90, None, 80, 70))])
    assert len(re.findall(r'<path class="line c1"', drawn)) == 2


def test_names_at_the_ends_of_lines_do_not_cover_each_other():
    drawn = line_chart([Series(name, points(100, 50)) for name in ("a", "b", "c")])
    heights = [float(y) for y in re.findall(r'class="name" x="[\d.]+" y="([\d.]+)"', drawn)]
    assert len(heights) == 3
    assert min(abs(a - b) for a in heights for b in heights if a is not b) >= 15


def test_a_point_with_an_address_is_a_link_that_can_be_hit():
    drawn = line_chart([Series("Kept", [Point("1", 5, "/a?b=1&c=2"), Point("2", 6)])])
    assert '<a href="/a?b=1&amp;c=2" aria-label="Kept, 1: 5">' in drawn
    assert 'class="hit"' in drawn
    assert 'aria-hidden="true"' not in drawn


def test_a_forecast_looks_different():
    drawn = line_chart([Series("Expected", points(1, 2), forecast=True)])
    assert 'class="line c1 forecast"' in drawn


def test_more_than_four_series_are_refused():
    with pytest.raises(ValueError, match="4"):
        line_chart([Series(str(n), points(1, 2)) for n in range(5)])


def test_stacked_rows_of_different_length_are_refused():
    with pytest.raises(ValueError, match="same number"):
        bar_chart([Series("a", points(1, 2)), Series("b", points(1))])


def test_texts_cannot_break_out_of_the_picture():
    drawn = bar_chart([Series("<script>", points(1))])
    assert "<script>" not in drawn


def test_one_value_makes_no_sparkline():
    assert sparkline([5]) == ""
    assert "<path" in sparkline([5, 5])
