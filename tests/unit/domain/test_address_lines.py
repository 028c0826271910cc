"""Addresses line by line, as the post of each country writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.address_lines import address_lines, place_lines
from storefront.domain.addresses import _LAYOUTS

PARTS = {
    "name": "Ada",
    "company": "Tea Ltd",
    "extra": "c/o Bo",
    "street": "Am Markt 1",
    "postcode": "50667",
    "city": "Köln",
    "region": "NW",
}
WORD = st.text("abc", min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("country", "place"),
    [
        ("DE", ["50667 Köln", "NW"]),
        ("FR", ["50667 Köln", "NW"]),
        ("NL", ["50667 Köln", "NW"]),
        ("ES", ["50667 Köln", "NW"]),
        ("IT", ["50667 Köln NW"]),
        ("US", ["Köln, NW 50667"]),
        ("CA", ["Köln NW 50667"]),
        ("AU", ["Köln NW 50667"]),
        ("GB", ["Köln", "NW", "50667"]),
        ("IE", ["Köln", "NW", "50667"]),
        ("IN", ["Köln 50667", "NW"]),
        ("BR", ["Köln - NW", "50667"]),
        ("MX", ["50667 Köln, NW"]),
        ("NZ", ["Köln 50667", "NW"]),
        ("JP", ["Köln, NW", "50667"]),
        ("", ["50667 Köln", "NW"]),
    ],
)
def test_an_address_is_written_as_its_countrys_post_writes_it(
    country: str, place: list[str]
) -> None:
    lines = address_lines({**PARTS, "country": country})
    assert lines == ["Ada", "Tea Ltd", "c/o Bo", "Am Markt 1", *place]
    assert place_lines({**PARTS, "country": country}) == lines[2:]


@pytest.mark.parametrize(
    ("lacking", "line"),
    [
        ("region", "Köln 50667"),
        ("postcode", "Köln, NW"),
        ("city", "NW 50667"),
    ],
)
def test_what_stands_between_two_parts_goes_with_the_one_that_is_missing(
    lacking: str, line: str
) -> None:
    assert place_lines({**PARTS, "country": "US", lacking: ""})[-1] == line


def test_an_address_in_the_countrys_own_script_goes_from_the_large_to_the_small() -> None:
    tokyo = {
        "name": "山田太郎",
        "street": "千代田1-1",
        "postcode": "100-8111",
        "city": "千代田区",
        "region": "東京都",
        "country": "JP",
    }
    assert address_lines(tokyo) == ["100-8111", "東京都千代田区", "千代田1-1", "山田太郎"]
    # Written in Latin letters it is for a foreign post, which reads it the other way round.
    latin = tokyo | {"street": "1-1 Chiyoda", "city": "Chiyoda-ku", "region": "Tokyo"}
    assert place_lines(latin) == ["1-1 Chiyoda", "Chiyoda-ku, Tokyo", "100-8111"]


@given(
    st.sampled_from([*sorted(_LAYOUTS), "DE", "IT", "LV", "MT", "PR", ""]),
    st.fixed_dictionaries({}, optional=dict.fromkeys(PARTS, WORD)),
)
def test_every_part_is_written_once_and_nothing_dangles(
    country: str, parts: dict[str, str]
) -> None:
    lines = address_lines({**parts, "country": country})
    letters = [sign for sign in "".join(lines) if sign not in " ,-"]
    assert sorted(letters) == sorted("".join(parts.values()))
    assert all(line and line == line.strip(" ,-") for line in lines)
