"""Phone numbers as people write them, and nothing else."""

import pytest

from storefront.domain.postal import is_phone


@pytest.mark.parametrize(
    "typed", ["+49 3641 1234", "(030) 123-4567", "030/1234567", "123456", "+1.415.555.0100"]
)
def test_a_number_as_people_write_it_is_a_phone_number(typed: str):
    assert is_phone(typed)


@pytest.mark.parametrize(
    "typed",
    ["", "12345", "1234567890123456", "ring twice", "0300 OPEN", "٣٤٥٦٧٨٩", "+", "1+234567"],
)
def test_what_cannot_be_rung_is_none(typed: str):
    assert not is_phone(typed)
