"""Passwords that nobody should use, because they are the first that anybody tries."""

from __future__ import annotations

#: What the most common passwords are made of, whatever stands before and after it.
_WORDS = frozenset(
    [
        "password",
        "passwort",
        "motdepasse",
        "passw0rd",
        "p@ssword",
        "p@ssw0rd",
        "geheim",
        "secret",
        "changeme",
        "welcome",
        "willkommen",
        "bienvenue",
        "hallo",
        "hello",
        "bonjour",
        "iloveyou",
        "ichliebedich",
        "jetaime",
        "letmein",
        "login",
        "admin",
        "administrator",
        "qwerty",
        "qwertyuiop",
        "qwertz",
        "qwertzuiop",
        "azerty",
        "azertyuiop",
        "asdf",
        "asdfgh",
        "asdfghjkl",
        "zxcvbn",
        "zxcvbnm",
        "yxcvbnm",
        "qazwsx",
        "abc",
        "abcd",
        "abcdef",
        "abcdefgh",
        "test",
        "master",
        "dragon",
        "monkey",
        "football",
        "baseball",
        "sunshine",
        "princess",
        "shadow",
        "superman",
        "batman",
        "michael",
        "jordan",
        "charlie",
        "soleil",
        "doudou",
        "loulou",
        "chocolat",
        "schatz",
        "sommer",
        "summer",
        "winter",
    ]
)
_FEWEST_SIGNS = 4
_DIGITS = "01234567890123456789"


def is_easy_to_guess(password: str, email: str = "") -> bool:
    """Return whether ``password`` is among the first that anybody would try.

    Made of three different signs or fewer, a run of digits, one of the common words with
    digits or signs around it (also twice), or the person's own e-mail address.

    >>> is_easy_to_guess("password123!"), is_easy_to_guess("1234567890")
    (True, True)
    >>> is_easy_to_guess("kettles on the hob")
    False
    """
    plain = password.casefold().strip()
    if len(set(plain)) < _FEWEST_SIGNS:
        return True
    if email and plain in {email.casefold(), email.casefold().partition("@")[0]}:
        return True
    if plain.isdecimal():
        return plain in _DIGITS or plain in _DIGITS[::-1]
    word = plain.strip("0123456789!?.,-_*#$&+= ")
    half = word[: len(word) // 2]
    return word in _WORDS or (half in _WORDS and word == half * 2)
