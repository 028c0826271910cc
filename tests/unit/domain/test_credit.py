"""Spending credit: oldest first, never more than is due or there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.coupons import normalise_code
from storefront.domain.credit import spend_credit
from storefront.domain.referrals import ReferralFacts, ReferralRefusal, referral_refusal
from storefront.domain.unique_codes import ALPHABET, unique_code

amounts = st.lists(st.integers(0, 10_000), max_size=8)


@pytest.mark.parametrize(
    ("due", "rests", "spent"),
    [
        ([], [100], []),
        ([100], [], [[]]),
        ([100], [100], [[(0, 100)]]),
        ([100], [30, 100], [[(0, 30), (1, 70)]]),
        ([100, 100], [150], [[(0, 100)], [(0, 50)]]),
        ([0, 100], [50], [[], [(0, 50)]]),
        ([100], [0, 100], [[(1, 100)]]),
    ],
)
def test_examples(due: list[int], rests: list[int], spent: list[list[tuple[int, int]]]) -> None:
    assert spend_credit(due, rests) == spent


@given(amounts, amounts)
def test_what_is_spent_is_the_smaller_of_both(due: list[int], rests: list[int]) -> None:
    spent = spend_credit(due, rests)
    assert sum(minor for parts in spent for _, minor in parts) == min(sum(due), sum(rests))
    for amount, parts in zip(due, spent, strict=True):
        assert sum(minor for _, minor in parts) <= amount
    for place, rest in enumerate(rests):
        assert sum(m for parts in spent for p, m in parts if p == place) <= rest


@given(amounts, amounts)
def test_older_credit_goes_first(due: list[int], rests: list[int]) -> None:
    places = [place for parts in spend_credit(due, rests) for place, _ in parts]
    assert places == sorted(places)


EVE = ("Am Hang 1", "10115", "DE")
ADA = ("Lindenweg 4", "07743", "DE")


@pytest.mark.parametrize(
    ("email", "is_new", "card", "address", "reason"),
    [
        ("eve@example.org", True, "eve", EVE, None),
        ("eve@example.org", True, "", EVE, None),
        ("ada+tea@example.org", True, "eve", EVE, ReferralRefusal.SAME_PERSON),
        ("ADA@Example.org", True, "eve", EVE, ReferralRefusal.SAME_PERSON),
        ("ada@example.com", True, "eve", EVE, None),
        ("eve@example.org", False, "eve", EVE, ReferralRefusal.NOT_NEW),
        ("eve@example.org", True, "ada", EVE, ReferralRefusal.SAME_CARD),
        ("eve@example.org", True, "eve", ADA, ReferralRefusal.SAME_ADDRESS),
        ("eve@example.org", True, "eve", ("LINDENWEG 4 ", "07743", "de"), "same_address"),
        ("eve@example.org", True, "eve", ("Lindenweg 5", "07743", "DE"), None),
    ],
)
def test_who_is_a_friend(
    email: str, is_new: bool, card: str, address: tuple[str, str, str], reason: str | None
) -> None:
    facts = ReferralFacts(
        "ada@example.org", email, is_new, frozenset({"ada"}), card, frozenset({ADA}), address
    )
    assert referral_refusal(facts) == reason


@given(st.randoms(use_true_random=False), st.sampled_from(["", "TEA", "X9"]))
def test_a_unique_code_reads_the_same_in_every_spelling(random: object, prefix: str) -> None:
    code = unique_code(prefix, random.choice)  # type: ignore[attr-defined]
    assert normalise_code(code.lower()) == code
    assert set(code.removeprefix(prefix)) <= {*ALPHABET, "-"}
    assert len(code) <= 40
