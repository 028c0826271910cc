"""Refusals carry a code and values, never a sentence for a person."""

from storefront.domain.errors import DomainError


class TooLate(DomainError):
    code = "too_late"


def test_a_refusal_carries_its_code_and_values():
    error = TooLate(cutoff_on="2027-03-11", box=3)

    assert error.code == "too_late"
    assert error.params == {"cutoff_on": "2027-03-11", "box": 3}
    assert str(error) == "too_late (cutoff_on=2027-03-11, box=3)"


def test_two_refusals_do_not_share_their_values():
    TooLate(box=1)

    assert TooLate().params == {}
