"""Credit that customers have: which of it pays what is due. Totals too small to charge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def is_too_small(
    minor: int, minimums: Mapping[str, Mapping[str, int]], gateway: str, currency: str
) -> bool:
    """Return whether ``gateway`` would not charge ``minor`` units, as its minimums say.

    Source: docs/decisions/0097-small-totals-are-carried.md.

    >>> is_too_small(49, {"demo": {"EUR": 50}}, "demo", "EUR")
    True
    >>> is_too_small(50, {"demo": {"EUR": 50}}, "demo", "EUR")
    False
    """
    return 0 < minor < minimums.get(gateway, {}).get(currency, 0)


def spend_credit(due: Sequence[int], rests: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Return, for each amount of ``due``, the (place in ``rests``, amount) that pay it.

    All are minor units of one customer and one currency. The oldest credit goes first, so
    ``rests`` is in the order in which it was given; what is due first is paid first. Never
    more than is due, never more than there is.
    Source: docs/decisions/0082-credit-pays-first.md.

    >>> spend_credit([2600, 2600], [500, 3000])
    [[(0, 500), (1, 2100)], [(1, 900)]]
    """
    left = list(rests)
    place = 0
    spent: list[list[tuple[int, int]]] = []
    for amount in due:
        parts: list[tuple[int, int]] = []
        open_minor = amount
        while open_minor > 0 and place < len(left):
            part = min(open_minor, left[place])
            if part > 0:
                parts.append((place, part))
                left[place] -= part
                open_minor -= part
            if left[place] == 0:
                place += 1
        spent.append(parts)
    return spent
