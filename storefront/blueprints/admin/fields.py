"""Fields that several admin forms have: sums, whole numbers, days, lists of lines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import gettext as _
from wtforms import (
    Form,
    SelectMultipleField,
    StringField,
    TextAreaField,
    ValidationError,
    widgets,
)
from wtforms.fields.choices import SelectChoice

from storefront.blueprints.typed import FIRST_DAY, LAST_DAY, one_line, read_day
from storefront.domain.money import Money, exponent

#: The highest sum that can be typed, in minor units: beyond it a key was held too long.
MOST_MINOR = 99_999_999


class NotAnAmount(ValueError):
    """What was typed is no sum; the text says how one looks."""


def choices_of(pairs: Iterable[tuple[str, Any]]) -> list[SelectChoice]:
    """Return (value, words) as the options of a field."""
    return [SelectChoice(value, words) for value, words in pairs]


def checks(label: Any) -> SelectMultipleField:
    """Return a field of boxes to tick; a form sets its choices."""
    return SelectMultipleField(
        label,
        widget=widgets.ListWidget(prefix_label=False),
        option_widget=widgets.CheckboxInput(),
    )


def read_money(text: str, currency: str) -> Money:
    """Return the sum that was typed: 26, 26,00 and 26.00 alike, full-width digits too.

    Never guesses: ``1,234`` has too many decimals for euros and too few signs for
    thousands, so it is asked back. Raises ``NotAnAmount`` with words for the page.
    """
    digits = exponent(currency)
    typed = unicodedata.normalize("NFKC", text).strip().removesuffix(currency)
    typed = typed.strip().lstrip("€$£").strip()
    if typed.startswith(("-", "\N{MINUS SIGN}")):
        raise NotAnAmount(_("An amount cannot be below 0"))
    decimals = rf"(?:[.,](\d{{1,{digits}}}))?" if digits else ""
    found = re.fullmatch(rf"(\d{{1,9}}){decimals}", typed, re.ASCII)
    if found is None:
        example = plain_money(Money(26 * 10**digits, currency))
        raise NotAnAmount(_("Enter an amount like %(example)s", example=example))
    fraction = (found[2] if digits else None) or ""
    minor = int(found[1] + fraction.ljust(digits, "0"))
    if minor > MOST_MINOR:
        most = plain_money(Money(MOST_MINOR, currency))
        raise NotAnAmount(_("Enter %(most)s at most", most=most))
    return Money(minor, currency)


def plain_money(amount: Money) -> str:
    """Return a sum as it stands in a field: 26.00.

    >>> plain_money(Money(2605, "EUR")), plain_money(Money(500, "JPY"))
    ('26.05', '500')
    """
    digits = exponent(amount.currency)
    if not digits:
        return str(amount.minor)
    whole, rest = divmod(amount.minor, 10**digits)
    return f"{whole}.{rest:0{digits}d}"


class LineField(StringField):
    """One line of text, cleaned of what nobody types on purpose."""

    @property
    def text(self) -> str:
        return one_line(self.data)


class MoneyField(StringField):
    """A sum in the shop's currency; set ``currency`` before validating."""

    currency = "EUR"

    def pre_validate(self, form: Form) -> None:
        if self.data and self.data.strip():
            try:
                read_money(self.data, self.currency)
            except NotAnAmount as error:
                raise ValidationError(str(error)) from None

    @property
    def money(self) -> Money:
        """The sum; zero when nothing was typed. Only after validation."""
        if not self.data or not self.data.strip():
            return Money.zero(self.currency)
        return read_money(self.data, self.currency)


class WholeField(StringField):
    """A whole number between ``low`` and ``high``; may be left empty."""

    def __init__(self, label: Any, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        self.low, self.high = low, high

    def pre_validate(self, form: Form) -> None:
        text = (self.data or "").strip()
        if not text:
            return
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not self.low <= int(text) <= self.high:
            raise ValidationError(
                _("Enter a whole number from %(low)s to %(high)s", low=self.low, high=self.high)
            )

    @property
    def number(self) -> int | None:
        """The number, or None when nothing was typed. Only after validation."""
        text = (self.data or "").strip()
        return int(text) if text.isdecimal() else None


class PercentField(StringField):
    """A percentage above 0 up to 100, with up to two decimals."""

    def pre_validate(self, form: Form) -> None:
        if (self.data or "").strip() and self._read() is None:
            raise ValidationError(_("Enter a number from 1 to 100"))

    def _read(self) -> Decimal | None:
        text = (self.data or "").strip().removesuffix("%").strip().replace(",", ".")
        if not re.fullmatch(r"\d{1,3}(\.\d{1,2})?", text, re.ASCII):
            return None
        try:
            value = Decimal(text)
        except InvalidOperation:  # pragma: no cover - the pattern lets only numbers through
            return None
        return value if 0 < value <= 100 else None

    @property
    def basis_points(self) -> int:
        """Hundredths of a percent; 0 when nothing was typed. Only after validation."""
        value = self._read()
        return int(value * 100) if value is not None else 0


class DayField(StringField):
    """A day as ISO text, as browsers' own date fields send it; may be left empty."""

    def pre_validate(self, form: Form) -> None:
        text = (self.data or "").strip()
        if not text or self.day:
            return
        try:
            date.fromisoformat(text)
        except ValueError:
            raise ValidationError(_("Enter a day like 2027-03-12")) from None
        raise ValidationError(
            _("Choose a day from %(min)s to %(max)s", min=FIRST_DAY, max=LAST_DAY)
        )

    @property
    def day(self) -> date | None:
        """The day, or None when nothing was typed. Only after validation."""
        return read_day(self.data)


class LinesField(TextAreaField):
    """One thing per line; at most ``most`` of ``longest`` characters each."""

    def __init__(self, label: Any, most: int, longest: int, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        self.most, self.longest = most, longest

    def pre_validate(self, form: Form) -> None:
        if len(self.lines) > self.most:
            raise ValidationError(_("Enter %(most)s lines at most", most=self.most))
        if any(len(line) > self.longest for line in self.lines):
            raise ValidationError(
                _("Each line can have %(most)s characters at most", most=self.longest)
            )

    @property
    def lines(self) -> Sequence[str]:
        cleaned = (one_line(line) for line in (self.data or "").splitlines())
        return [line for line in cleaned if line]
