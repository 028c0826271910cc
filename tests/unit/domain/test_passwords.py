"""Passwords that are refused, and those that are not."""

import pytest

from storefront.domain.passwords import is_easy_to_guess


@pytest.mark.parametrize(
    "password",
    [
        "password123",
        "Password2027!",
        "passwort1234",
        "motdepasse1",
        "1234567890",
        "0987654321",
        "qwertyuiop",
        "qwertz12345",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "iloveyou2027",
        "adminadmin",
        "ada.lovelace",
    ],
)
def test_what_everybody_tries_first_is_refused(password: str) -> None:
    assert is_easy_to_guess(password, "ada.lovelace@example.org")


@pytest.mark.parametrize(
    "password",
    ["a good password", "nine kettles on", "kettles on the hob", "3141592653", "xk7-Rr2!pp"],
)
def test_other_passwords_are_taken(password: str) -> None:
    assert not is_easy_to_guess(password, "ada.lovelace@example.org")
