"""Who tries out cards: what counts as one address, one person, and when it is enough."""

from datetime import UTC, datetime, timedelta

import pytest

from storefront.domain.card_testing import PERSON_RANGE, WINDOW, Asker, free_at, network_of

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


def before(*minutes: int) -> list[datetime]:
    return [NOW - timedelta(minutes=each) for each in minutes]


@pytest.mark.parametrize("declined", [[], before(1, 2, 3), before(1, 2, 3, 60)])
def test_fewer_than_the_limit_within_the_hour_stop_nobody(declined: list[datetime]) -> None:
    assert free_at(declined, 4, NOW) is None


def test_the_break_ends_when_there_is_room_for_one_more() -> None:
    # The third newest of three is the one that has to grow old.
    assert free_at(before(1, 5, 40, 50), 3, NOW) == NOW + timedelta(minutes=20)


def test_the_break_is_over_at_its_very_end() -> None:
    declined = before(1, 5, 40)
    until = free_at(declined, 3, NOW)
    assert until is not None
    assert free_at(declined, 3, until - timedelta(seconds=1)) == until
    assert free_at(declined, 3, until) is None


def test_nobody_can_set_fewer_than_four() -> None:
    assert free_at(before(1, 1, 1), PERSON_RANGE[0], NOW) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_what_is_one_connection(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


@pytest.mark.parametrize("unknown", ["", "unix:", "not an address", "10.0.0"])
def test_what_is_no_address_is_not_counted_by_it(unknown: str) -> None:
    assert Asker.of(None, "ord_1", unknown).hashed("key")[1] == ""


def test_customer_and_order_of_the_same_name_are_two_and_hashes_need_the_key() -> None:
    person, sender = Asker.of(7, "ord_1", "192.0.2.7").hashed("key")
    assert person == Asker.of(7, "another order").hashed("key")[0]
    assert person != Asker.of(None, "7").hashed("key")[0]
    assert Asker.of(7, "", "192.0.2.7").hashed("another key") != (person, sender)
    assert "192.0.2.7" not in sender


def test_the_window_is_an_hour() -> None:
    assert timedelta(hours=1) == WINDOW
