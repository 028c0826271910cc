"""Coupons: what a code means, whether it may be used, and what it takes off."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from storefront.domain.money import CurrencyMismatch, Money, split_minor
from storefront.domain.periods import Interval

#: What a discount lowers: the box with its options and add-ons, the parcel's way, the fee, or
#: the first box alone (free, or down to a fixed price).
Target = Literal["box", "shipping", "fee", "first_box"]


@dataclass(frozen=True, slots=True)
class Discount:
    """Either a percentage of what is left, or a fixed amount off it.

    Raises ``ValueError`` unless exactly the field that ``kind`` names is set, with a
    percentage from 0 to 100 or an amount of zero or more.
    """

    kind: Literal["percent", "fixed"]
    percent: Decimal | None = None
    amount: Money | None = None

    def __post_init__(self) -> None:
        by_percent = (
            self.kind == "percent"
            and self.amount is None
            and self.percent is not None
            and 0 <= self.percent <= 100
        )
        by_amount = (
            self.kind == "fixed"
            and self.percent is None
            and self.amount is not None
            and self.amount.minor >= 0
        )
        if not (by_percent or by_amount):
            raise ValueError(f"not a discount: {self.kind} {self.percent} {self.amount}")


def apply_discounts(lines: Sequence[Money], discounts: Sequence[Discount]) -> list[Money]:
    """Return the amount taken off each line, zero or more and never above the line.

    The discounts work one after the other, each on what the ones before left over.
    A percentage is taken from the sum of the rests, rounded half up once, and split onto
    the lines by largest remainder; so is a fixed amount, cut to what is left. Lines of
    zero or below (credits) are left alone.
    Raises ``CurrencyMismatch`` when lines or a fixed amount differ in currency.
    Source: docs/decisions/0013-discounts-on-the-rest.md.

    >>> lines = [Money(2000, "EUR"), Money(1000, "EUR")]
    >>> tenth, five = Discount("percent", Decimal(10)), Discount("fixed", amount=Money(500, "EUR"))
    >>> [off.minor for off in apply_discounts(lines, [tenth, five])]
    [533, 267]
    """
    if not lines:
        return []
    currency = lines[0].currency
    if any(line.currency != currency for line in lines):
        raise CurrencyMismatch(f"lines in {sorted({line.currency for line in lines})}")
    rests = [max(line.minor, 0) for line in lines]
    offs = [0] * len(lines)
    for discount in discounts:
        for i, off in enumerate(_off_per_rest(rests, discount, currency)):
            offs[i] += off
            rests[i] -= off
    return [Money(off, currency) for off in offs]


def _off_per_rest(rests: Sequence[int], discount: Discount, currency: str) -> list[int]:
    whole = sum(rests)
    if discount.amount is not None:
        if discount.amount.currency != currency:
            raise CurrencyMismatch(f"{discount.amount.currency} off {currency}")
        off = min(discount.amount.minor, whole)
    else:
        assert discount.percent is not None
        above, below = discount.percent.as_integer_ratio()
        below *= 100
        off = (2 * whole * above + below) // (2 * below)
    return split_minor(off, rests)


def cycles_after(cycles_left: int | None, off: Money) -> int | None:
    """Return how many billed cycles a discount still lasts once it has taken ``off``.

    Only a cycle in which it really lowered something counts, so neither a trial nor a
    zero invoice spends it. None means for ever.
    Source: docs/decisions/0013-discounts-on-the-rest.md.

    >>> cycles_after(3, Money(500, "EUR")), cycles_after(3, Money(0, "EUR"))
    (2, 3)
    """
    if cycles_left is None or off.minor <= 0:
        return cycles_left
    return max(cycles_left - 1, 0)


@dataclass(frozen=True, slots=True)
class CouponTerms:
    """A coupon as a subscription or an order has it.

    ``ref`` is the caller's name for it and ``code`` what the line says. It lowers billed
    periods from number ``from_billed`` on, ``lasts`` of them (None: for ever). ``priority``
    and then ``key`` put several in order, the lowest first; one that does not ``combines``
    works alone.
    """

    ref: str
    code: str
    discount: Discount
    lasts: int | None
    target: Target = "box"
    from_billed: int = 1
    priority: int = 100
    key: int = 0
    combines: bool = True

    @property
    def is_recurring(self) -> bool:
        """False for what lowers one period only."""
        return self.target != "first_box" and (self.lasts is None or self.lasts > 1)

    @property
    def is_for_first(self) -> bool:
        """True for what lowers the first payment only: where it loses there, it is over."""
        return self.from_billed == 1 and self.lasts == 1

    def is_due(self, number: int, now: int = 1) -> bool:
        """Return whether it lowers billed period ``number``.

        ``lasts`` is what was left when billed period ``now`` came next, and it lowers every
        period until then. The first box is in the first billed period only.

        >>> tenth = CouponTerms("c", "LOYAL", Discount("percent", Decimal(10)), 2, from_billed=6)
        >>> [number for number in range(1, 10) if tenth.is_due(number)]
        [6, 7]
        """
        if self.target == "first_box" and number > 1:
            return False
        if number < self.from_billed:
            return False
        return self.lasts is None or number - max(now, self.from_billed) < self.lasts


def choose_discounts(
    found: Sequence[CouponTerms], worth: Callable[[Sequence[CouponTerms]], int]
) -> list[CouponTerms]:
    """Return which of ``found`` work together, in the order in which they are taken off.

    The order is priority, then key. All that combine work together; one that does not
    works alone. Of these sets the one that is ``worth`` most to the customer (minor units
    off the whole) is taken; of equal ones the one whose first member comes first.
    Source: docs/decisions/0080-which-discounts-together.md.

    >>> tenth = CouponTerms("a", "A", Discount("percent", Decimal(10)), None, key=1)
    >>> alone = CouponTerms("b", "B", Discount("percent", Decimal(20)), 1, key=2, combines=False)
    >>> off = lambda some: sum(int(one.discount.percent) for one in some)
    >>> [one.code for one in choose_discounts([tenth, alone], off)]
    ['B']
    """
    ordered = sorted(found, key=lambda one: (one.priority, one.key, one.ref))
    together = [one for one in ordered if one.combines]
    sets = [[one] for one in ordered if not one.combines]
    if together:
        sets.append(together)
    if len(sets) < 2:
        return sets[0] if sets else []
    return min(sets, key=lambda some: (-worth(some), some[0].priority, some[0].key))


#: Capital letters of other scripts that look like a Latin one on paper and on a screen.
_LOOKALIKES = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
    "ABEKMHOPCTYXSIJABEZHIKMNOPTYX",
)


def normalise_code(text: str) -> str:
    """Return the form in which promotion codes are stored and compared.

    Case, spaces, invisible characters and the kind of dash do not matter, full-width and
    other compatibility forms become plain (NFKC), and Cyrillic or Greek capitals that
    look Latin count as Latin, on both sides of the comparison. Doing it twice changes
    nothing. Source: docs/decisions/0024-promotion-code-spelling.md.

    >>> normalise_code("  welcome \u2013 10 ")
    'WELCOME-10'
    """
    plain = unicodedata.normalize("NFKD", text)
    while (again := unicodedata.normalize("NFKD", plain.casefold().upper())) != plain:
        plain = again
    kept = (_plain_character(character) for character in plain)
    return unicodedata.normalize("NFC", "".join(kept).translate(_LOOKALIKES))


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Pd":
        return "-"
    return "" if category[0] in "ZC" else character


class Refusal(StrEnum):
    """Why a code is not accepted; the page words it."""

    UNKNOWN = "unknown"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    WRONG_PLAN = "wrong_plan"
    WRONG_INTERVAL = "wrong_interval"
    WRONG_COUNTRY = "wrong_country"
    NOT_FIRST = "not_first"
    USED_UP = "used_up"
    USED_BY_CUSTOMER = "used_by_customer"
    #: Only for a running subscription: it has this coupon already.
    HAS_IT = "has_it"
    #: Only for a running subscription: another code lowers it.
    HAS_ANOTHER = "has_another"
    #: Only for a running subscription: the coupon is about the first box or the fee.
    FIRST_ONLY = "first_only"


@dataclass(frozen=True, slots=True)
class CouponRule:
    """Who may use a coupon, on what and when. An empty set or None means no limit.

    ``starts_on`` and ``ends_on`` are shop-local days and both count as inside.
    """

    plans: frozenset[str] = frozenset()
    intervals: frozenset[Interval] = frozenset()
    countries: frozenset[str] = frozenset()
    first_time_only: bool = False
    starts_on: date | None = None
    ends_on: date | None = None
    max_uses: int | None = None
    used: int = 0
    max_per_customer: int | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is an end of its uses."""
        return self.max_uses is not None or self.max_per_customer is not None


@dataclass(frozen=True, slots=True)
class CouponFacts:
    """What is known of the basket when a code is tried.

    ``plan`` is the plan's code; ``is_first`` says that this customer (or visitor) has
    never had a subscription here.
    """

    today: date
    plan: str
    interval: Interval
    country: str
    is_first: bool = True
    used_by_customer: int = 0


def refusal(rule: CouponRule | None, facts: CouponFacts) -> Refusal | None:
    """Return why ``rule`` does not fit ``facts``, or None when it does.

    No rule means that nobody knows the code. The first reason in the order of
    ``Refusal`` is given. The limits here only inform the shopper early; what keeps them
    is the guarded counter in the database.

    >>> rule = CouponRule(plans=frozenset({"small"}), ends_on=date(2027, 3, 31))
    >>> facts = CouponFacts(date(2027, 4, 1), "small", Interval("month"), "DE")
    >>> refusal(rule, facts)
    <Refusal.ENDED: 'ended'>
    """
    if rule is None:
        return Refusal.UNKNOWN
    checks = (
        (Refusal.NOT_STARTED, rule.starts_on is not None and facts.today < rule.starts_on),
        (Refusal.ENDED, rule.ends_on is not None and facts.today > rule.ends_on),
        (Refusal.WRONG_PLAN, bool(rule.plans) and facts.plan not in rule.plans),
        (Refusal.WRONG_INTERVAL, bool(rule.intervals) and facts.interval not in rule.intervals),
        (Refusal.WRONG_COUNTRY, bool(rule.countries) and facts.country not in rule.countries),
        (Refusal.NOT_FIRST, rule.first_time_only and not facts.is_first),
        (Refusal.USED_UP, rule.max_uses is not None and rule.used >= rule.max_uses),
        (
            Refusal.USED_BY_CUSTOMER,
            rule.max_per_customer is not None and facts.used_by_customer >= rule.max_per_customer,
        ),
    )
    return next((reason for reason, applies in checks if applies), None)
