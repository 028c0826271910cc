"""Money as whole minor units, and how a sum is split without losing one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


class CurrencyMismatch(ValueError):
    """Two currencies met where only one may be."""


_TWO = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP "
    "BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD "
    "FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD "
    "KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD "
    "NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
    "SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED "
    "VES WST XCD XCG YER ZAR ZMW ZWG"
)
_ZERO = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"

#: ISO 4217: how many decimals one unit of a currency has. ANG and BGN stay for old documents.
EXPONENTS: dict[str, int] = {
    code: digits
    for digits, codes in ((0, _ZERO), (2, _TWO), (3, _THREE), (4, _FOUR))
    for code in codes.split()
}


def exponent(currency: str) -> int:
    """Return the number of decimals of ``currency`` (ISO 4217).

    Raises ``ValueError`` for a code that is not in the table.

    >>> exponent("JPY"), exponent("EUR"), exponent("KWD")
    (0, 2, 3)
    """
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise ValueError(f"unknown currency {currency!r}") from None


@dataclass(frozen=True, slots=True)
class Money:
    """A whole number of minor units (cents, yen, fils) of one currency; may be negative.

    Raises ``TypeError`` for anything but an ``int`` (a float never becomes money) and
    ``ValueError`` for an unknown currency. Arithmetic and order exist within one currency
    only, otherwise ``CurrencyMismatch``.

    >>> Money(1999, "EUR") + Money(1, "EUR")
    Money(minor=2000, currency='EUR')
    >>> Money(500, "JPY") * 3 > Money(1499, "JPY")
    True
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are whole numbers, not {self.minor!r}")
        if self.currency not in EXPONENTS:
            raise ValueError(f"unknown currency {self.currency!r}")

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Return nothing, in ``currency``."""
        return cls(0, currency)

    @property
    def is_zero(self) -> bool:
        return self.minor == 0

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._minor_of(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._minor_of(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __mul__(self, times: int) -> "Money":
        return Money(self.minor * times, self.currency)

    __rmul__ = __mul__

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._minor_of(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._minor_of(other)

    def __gt__(self, other: "Money") -> bool:
        return self.minor > self._minor_of(other)

    def __ge__(self, other: "Money") -> bool:
        return self.minor >= self._minor_of(other)

    def _minor_of(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}")
        return other.minor


def allocate(total: Money, weights: Sequence[int]) -> list[Money]:
    """Split ``total`` in proportion to ``weights``; the parts always sum to ``total``.

    Rounding: each part is cut to whole minor units, then the units left over go to the
    largest remainders, the earlier part first where they are equal. A negative total is
    split like its positive twin. Nothing to split needs no weight: zero gives zeros.
    Raises ``ValueError`` for a negative weight, or when there is something to split and
    no weight above zero. Source: docs/decisions/0010-largest-remainder.md.

    >>> [part.minor for part in allocate(Money(100, "EUR"), [1, 1, 1])]
    [34, 33, 33]
    >>> [part.minor for part in allocate(Money(-5, "JPY"), [3, 7])]
    [-2, -3]
    """
    parts = split_minor(total.minor, weights)
    return [Money(part, total.currency) for part in parts]


def split_minor(total: int, weights: Sequence[int]) -> list[int]:
    """Do the work of ``allocate`` on bare minor units; same rules and errors."""
    if total < 0:
        return [-part for part in split_minor(-total, weights)]
    if weights and min(weights) < 0:
        raise ValueError(f"negative weight in {list(weights)}")
    whole = sum(weights)
    if total == 0:
        return [0] * len(weights)
    if whole == 0:
        raise ValueError("no weight above zero to split by")
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    if left:
        by_remainder = sorted(
            range(len(weights)), key=lambda i: total * weights[i] % whole, reverse=True
        )
        for i in by_remainder[:left]:
            parts[i] += 1
    return parts
