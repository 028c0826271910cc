"""How a plan change inside a paid billing period is settled."""

from dataclasses import dataclass
from datetime import date

from storefront.domain.money import Money
from storefront.domain.periods import BillingPeriod


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a change gives back and what it costs, both zero or more for paid prices."""

    credit: Money
    charge: Money

    @property
    def net(self) -> Money:
        """Charge less credit: above zero is to be paid, below zero is owed to the customer."""
        return self.charge - self.credit


def unused_value(paid: Money, period: BillingPeriod, on: date) -> Money:
    """Return the part of ``paid`` that buys the days from ``on`` to the period's end.

    ``paid`` is what exactly this period costs on the plan after discounts, never merely
    the last payment.
    Units: whole shop-local days; the day of the change counts as unused.
    Rounding: the used part is rounded half up to a minor unit and the rest is the answer,
    so used + unused always equals ``paid``.
    Raises ``ValueError`` if ``on`` lies outside the period (its end counts as inside).
    Source: docs/decisions/0012-proration-by-day.md.

    >>> march = BillingPeriod(date(2027, 3, 1), date(2027, 4, 1))
    >>> unused_value(Money(3100, "EUR"), march, date(2027, 3, 11))
    Money(minor=2100, currency='EUR')
    """
    return Money(unused_minor(paid.minor, period, on), paid.currency)


def unused_minor(paid: int, period: BillingPeriod, on: date) -> int:
    """Do the work of ``unused_value`` on bare minor units; same rules and errors."""
    if not period.start <= on <= period.end:
        raise ValueError(f"{on} is outside {period}")
    used_days = (on - period.start).days
    return paid - (2 * paid * used_days + period.days) // (2 * period.days)


def share_of(amount: Money, days: int, of: int) -> Money:
    """Return what ``days`` of a period of ``of`` days cost, rounded half up to a minor unit.

    Raises ``ValueError`` unless 0 <= days <= of and of > 0.

    >>> share_of(Money(3100, "EUR"), 10, 31)
    Money(minor=1000, currency='EUR')
    """
    if not 0 <= days <= of or of <= 0:
        raise ValueError(f"{days} of {of} days")
    return Money((2 * amount.minor * days + of) // (2 * of), amount.currency)


def settle_change(old: Money, new: Money, period: BillingPeriod, on: date) -> Settlement:
    """Return what changing from ``old`` to ``new`` on the day ``on`` credits and charges.

    ``old`` and ``new`` are what the whole ``period`` costs before and after the change.
    Units, rounding and errors are those of ``unused_value``, applied to each; two
    currencies raise ``CurrencyMismatch``. Any number of changes in one period sums to
    the price of the days really used, within one minor unit per change.
    Source: docs/decisions/0012-proration-by-day.md.

    >>> march = BillingPeriod(date(2027, 3, 1), date(2027, 4, 1))
    >>> change = settle_change(Money(3100, "EUR"), Money(6200, "EUR"), march, date(2027, 3, 11))
    >>> change.credit.minor, change.charge.minor, change.net.minor
    (2100, 4200, 2100)
    """
    charge = unused_value(new, period, on)
    credit = unused_value(old, period, on)
    _ = charge - credit  # two currencies fail here, not when someone asks for the net
    return Settlement(credit=credit, charge=charge)
