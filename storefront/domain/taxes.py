"""Tax: once per rate on the document, then split onto its lines without losing a unit."""

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from storefront.domain.money import CurrencyMismatch, Money

Rounding = Literal["line", "sum"]


def tax_of(amount: Money, rate: Decimal, *, inclusive: bool) -> Money:
    """Return the tax in (``inclusive``) or on ``amount``.

    Units: ``rate`` in percent, ``Decimal("19")``. Rounding: half up to a minor unit; a
    negative amount is taxed like its positive twin, so a correction undoes exactly what
    it corrects. Raises ``ValueError`` for a negative rate.
    Source: docs/decisions/0014-tax-once-per-rate.md.

    >>> tax_of(Money(1190, "EUR"), Decimal("19"), inclusive=True)
    Money(minor=190, currency='EUR')
    >>> tax_of(Money(1000, "JPY"), Decimal("8"), inclusive=False)
    Money(minor=80, currency='JPY')
    """
    above, below = tax_fraction(rate, inclusive)
    return Money(_half_up(amount.minor * above, below), amount.currency)


def tax_total(
    lines: Sequence[tuple[Money, Decimal]], *, inclusive: bool, rounding: Rounding
) -> Money:
    """Return the tax of a document of ``(amount, rate)`` lines.

    Rounding: ``"sum"`` rounds once per rate on the sum of its lines (the default of the
    shop), ``"line"`` rounds each line. Raises ``ValueError`` without a line,
    ``CurrencyMismatch`` for several currencies.
    Source: docs/decisions/0014-tax-once-per-rate.md.

    >>> lines = [(Money(33, "EUR"), Decimal(19))] * 3
    >>> tax_total(lines, inclusive=False, rounding="sum").minor
    19
    >>> tax_total(lines, inclusive=False, rounding="line").minor
    18
    """
    taxes = tax_per_line(lines, inclusive=inclusive, rounding=rounding)
    if not taxes:
        raise ValueError("a document without a line has no currency")
    return Money(sum(tax.minor for tax in taxes), taxes[0].currency)


def tax_per_line(
    lines: Sequence[tuple[Money, Decimal]], *, inclusive: bool, rounding: Rounding
) -> list[Money]:
    """Return the tax of each line; together exactly ``tax_total``.

    Rounding ``"sum"``: the tax of a rate is rounded once, and each line gets its own
    exact share cut to whole units, the units left over going to the largest remainders.
    No line is further than one unit from its exact share, and a line of zero has none.
    Raises ``CurrencyMismatch`` for several currencies.

    >>> lines = [(Money(33, "EUR"), Decimal(19))] * 3
    >>> [tax.minor for tax in tax_per_line(lines, inclusive=False, rounding="sum")]
    [7, 6, 6]
    """
    if not lines:
        return []
    currency = lines[0][0].currency
    if any(amount.currency != currency for amount, _ in lines):
        raise CurrencyMismatch("one document, one currency")
    minors = minor_per_line(
        [(amount.minor, rate) for amount, rate in lines], inclusive=inclusive, rounding=rounding
    )
    return [Money(minor, currency) for minor in minors]


def minor_per_line(
    lines: Sequence[tuple[int, Decimal]], *, inclusive: bool, rounding: Rounding
) -> list[int]:
    """Do the work of ``tax_per_line`` on bare minor units of one currency."""
    if rounding == "line":
        fractions = [tax_fraction(rate, inclusive) for _, rate in lines]
        return [
            _half_up(minor * above, below)
            for (minor, _), (above, below) in zip(lines, fractions, strict=True)
        ]
    taxes = [0] * len(lines)
    groups: dict[Decimal, list[int]] = {}
    for i, (_, rate) in enumerate(lines):
        groups.setdefault(rate, []).append(i)
    for rate, members in groups.items():
        shares = _split_group([lines[i][0] for i in members], *tax_fraction(rate, inclusive))
        for i, share in zip(members, shares, strict=True):
            taxes[i] = share
    return taxes


def minor_per_group(
    groups: Sequence[Sequence[tuple[int, Decimal]]], *, inclusive: bool, rounding: Rounding
) -> list[list[int]]:
    """Split the tax of one document onto groups of its lines, and each share onto its lines.

    ``groups`` are what different boxes put on the document, in bare minor units of one currency.
    A group's tax per rate is its own, rounded down or up; one whose lines sum to zero bears none,
    which a split onto all lines at once would not promise. The sum per rate is that of
    ``minor_per_line`` over all lines.
    Source: docs/decisions/0100-several-boxes-in-one-order.md.

    >>> groups = [[(2900, Decimal(20)), (-2900, Decimal(20))], [(2900, Decimal(20))]]
    >>> minor_per_group(groups, inclusive=True, rounding="sum")
    [[483, -483], [483]]
    """
    if rounding == "line":
        return [minor_per_line(group, inclusive=inclusive, rounding=rounding) for group in groups]
    places: dict[tuple[int, Decimal], list[int]] = {}
    for number, group in enumerate(groups):
        for line, (_, rate) in enumerate(group):
            places.setdefault((number, rate), []).append(line)
    sums = [
        (sum(groups[number][line][0] for line in lines), rate)
        for (number, rate), lines in places.items()
    ]
    shares = minor_per_line(sums, inclusive=inclusive, rounding=rounding)
    taxes = [[0] * len(group) for group in groups]
    for ((number, rate), lines), share in zip(places.items(), shares, strict=True):
        amounts = [groups[number][line][0] for line in lines]
        split = _share_out(share, amounts, *tax_fraction(rate, inclusive))
        for line, tax in zip(lines, split, strict=True):
            taxes[number][line] = tax
    return taxes


def tax_of_part(gross: int, tax: int, credited: tuple[int, int], part: int) -> int:
    """Return the tax inside a refund of ``part`` of a line, in minor units.

    ``gross`` and ``tax`` are the line's, ``credited`` what was refunded of both before. The
    parts' taxes follow the line's own share, each rounded half up on the running sum, so
    however a line is split they sum to its tax, and the last part takes the rest. The rate
    is not asked: it may have changed since. Raises ``ValueError`` for a part that is not
    between zero and what is left.
    Source: docs/decisions/0014-tax-once-per-rate.md.

    >>> tax_of_part(1000, 160, (0, 0), 333), tax_of_part(1000, 160, (333, 53), 667)
    (53, 107)
    """
    before, taken = credited
    if not (0 <= part <= gross - before):
        raise ValueError(f"{part} is no part of what is left of {gross} after {before}")
    return _half_up(tax * (before + part), gross) - taken if gross else 0


def _split_group(amounts: list[int], above: int, below: int) -> list[int]:
    """Round the tax of one rate once and split it; amounts of both signs may meet here."""
    return _share_out(_half_up(sum(amounts) * above, below), amounts, above, below)


def _share_out(tax: int, amounts: list[int], above: int, below: int) -> list[int]:
    """Split ``tax``, which is that of all ``amounts`` rounded down or up, onto them."""
    if sum(amounts) < 0:
        return [-share for share in _share_out(-tax, [-each for each in amounts], above, below)]
    shares = [amount * above // below for amount in amounts]
    left = tax - sum(shares)
    if left:
        by_remainder = sorted(
            range(len(amounts)), key=lambda i: amounts[i] * above % below, reverse=True
        )
        for i in by_remainder[:left]:
            shares[i] += 1
    return shares


@lru_cache(maxsize=512)
def tax_fraction(rate: Decimal, inclusive: bool) -> tuple[int, int]:
    """Return tax divided by amount as a fraction of whole numbers; rate in percent.

    Raises ``ValueError`` for a negative rate.

    >>> tax_fraction(Decimal("19"), True)
    (19, 119)
    """
    if rate < 0:
        raise ValueError(f"a tax rate is not negative: {rate}")
    above, below = rate.as_integer_ratio()
    return above, below * 100 + (above if inclusive else 0)


def _half_up(above: int, below: int) -> int:
    if above < 0:
        return -((-2 * above + below) // (2 * below))
    return (2 * above + below) // (2 * below)
