"""Who may be offered something instead of leaving."""

from datetime import date

import pytest

from storefront.domain.leaving import may_offer

TODAY = date(2027, 3, 31)


@pytest.mark.parametrize("country", ["DE", "FR"])
def test_nobody_is_offered_anything_where_the_page_may_ask_for_nothing_more(country: str) -> None:
    assert not may_offer(country, None, 1, TODAY)
    assert may_offer("US", None, 1, TODAY)


def test_an_offer_rests_for_its_days_and_not_one_longer() -> None:
    assert not may_offer("AT", TODAY, 1, TODAY)
    assert may_offer("AT", date(2027, 3, 30), 1, TODAY)
    assert not may_offer("AT", date(2026, 10, 3), 180, TODAY)
    assert may_offer("AT", date(2026, 10, 2), 180, TODAY)
