"""Which parcels cross a border, and what of their contents is not known."""

from __future__ import annotations

import pytest

from storefront.domain.customs import (
    CustomsData,
    customs_line,
    hs_code_of,
    is_declared,
    missing_in,
)


@pytest.mark.parametrize(
    ("seller", "country", "postcode", "declared"),
    [
        ("DE", "DE", "07743", False),
        ("DE", "AT", "8010", False),
        ("DE", "MC", "98000", False),
        ("DE", "FR", "98000", False),
        ("DE", "CH", "8001", True),
        ("DE", "LI", "9490", True),
        ("CH", "LI", "9490", False),
        ("DE", "NO", "0150", True),
        ("DE", "GB", "SW1A 1AA", True),
        ("DE", "GB", "BT1 1AA", False),
        ("GB", "GB", "BT1 1AA", False),
        ("GB", "IM", "IM1 1AA", False),
        ("GB", "GB", "JE2 4UH", True),
        ("GB", "GG", "GY1 1AA", True),
        ("GB", "DE", "10115", True),
        ("DE", "DE", "27498", True),
        ("DE", "DE", "78266", True),
        ("DE", "IT", "23041", True),
        ("DE", "IT", "22061", True),
        ("DE", "ES", "35001", True),
        ("DE", "ES", "28001", False),
        ("DE", "ES", "51001", True),
        ("DE", "FR", "97110", True),
        ("DE", "FI", "22100", True),
        ("DE", "FI", "00100", False),
        ("DE", "GR", "63086", True),
        ("DE", "DK", "1050", False),
        ("DE", "GL", "3900", True),
        ("US", "US", "96701", False),
        ("US", "CA", "K1A 0A9", True),
    ],
)
def test_a_declaration_is_asked_where_no_area_is_shared(
    seller: str, country: str, postcode: str, declared: bool
) -> None:
    assert is_declared(seller, country, postcode) is declared


@pytest.mark.parametrize(("typed", "code"), [("0902.10", "090210"), ("0902 10 00", "09021000")])
def test_a_tariff_number_is_kept_in_digits(typed: str, code: str) -> None:
    assert hs_code_of(typed) == code


@pytest.mark.parametrize("typed", ["", "0902", "0902101", "09021O", "090210000011"])
def test_what_is_no_tariff_number_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=typed or "^$"):
        hs_code_of(typed)


def test_what_is_not_known_of_a_box_is_named_by_product() -> None:
    tea = customs_line("TEA", 2, 70, CustomsData("090210", "JP", "green tea", 890, "EUR"))
    mug = customs_line("MUG", 1, 300, CustomsData("", "DE", "", None, "EUR"))
    assert missing_in([tea]) == {}
    assert missing_in([tea, mug]) == {"MUG": ("hs_code", "text", "value")}
