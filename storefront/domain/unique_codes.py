"""Codes that stand for one use each: hard to guess, easy to read aloud and to type."""

from __future__ import annotations

from collections.abc import Callable

#: No vowels, so no words; no 0 O 1 I L 5 S 8 B 2 Z, which are mistaken for one another.
ALPHABET = "34679CDFGHJKMNPQRTVWXY"
#: Two groups of six: 22^12 codes, so 100,000 of them are one in 10^11.
GROUPS = 2
GROUP = 6


def unique_code(prefix: str, choose: Callable[[str], str]) -> str:
    """Return a code such as ``SPRING-7KXM4P-CW9FTD``.

    ``prefix`` is in normal spelling, or empty. ``choose`` picks a character of a string; it
    must be unpredictable.
    Source: docs/decisions/0083-codes-of-a-campaign.md.

    >>> unique_code("TEA", lambda alphabet: alphabet[0])
    'TEA-333333-333333'
    """
    groups = ["".join(choose(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS)]
    return "-".join([prefix, *groups] if prefix else groups)
