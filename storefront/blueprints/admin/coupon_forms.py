"""What is typed to make a promotion code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, RadioField, ValidationError
from wtforms.validators import InputRequired, Length

from storefront.blueprints.admin.fields import (
    DayField,
    LineField,
    MoneyField,
    PercentField,
    WholeField,
    checks,
    choices_of,
)
from storefront.blueprints.admin.translated import in_languages
from storefront.blueprints.forms import Form
from storefront.blueprints.intervals import interval_code, interval_from
from storefront.blueprints.typed import one_line
from storefront.domain.coupons import normalise_code
from storefront.domain.periods import Interval
from storefront.formats import interval_name
from storefront.queries.coupons import Priced
from storefront.services.codes import LONGEST_PREFIX, MOST, BatchDraft
from storefront.services.promotions import CouponDraft

#: What of a discount without a code is typed in another language.
TEXTS: dict[str, Any] = {
    "name": lambda: LineField(
        _("Name"),
        [Length(max=80, message=_("A name has 80 characters at most"))],
        filters=[one_line],
    )
}


class NamesForm(Form):
    """The name of a discount that shoppers see, in other languages."""


in_languages(NamesForm, TEXTS)


class CouponForm(Form):
    """A new code."""

    way = RadioField(
        _("Who gets it"),
        choices=choices_of(
            (
                ("code", _("Who types one code")),
                ("unique", _("Who has a code of their own")),
                ("automatic", _("Everybody it fits, without a code")),
            )
        ),
        default="code",
    )
    code = LineField(_("Code"), [Length(max=60)])
    kind = RadioField(
        _("What it takes off"),
        choices=choices_of(
            (
                ("percent", _("A percentage")),
                ("fixed", _("A fixed amount")),
                ("free_shipping", _("Delivery")),
                ("free_first_box", _("The first box")),
                ("first_box_price", _("The first box down to a price")),
            )
        ),
        default="percent",
    )
    applies_to_fee = BooleanField(_("Off the sign-up fee instead of the box"))
    from_billed = WholeField(_("Begins with payment number"), 1, 99)
    priority = WholeField(_("Place in the order"), 1, 999)
    alone = BooleanField(_("Not together with other discounts"))
    percent = PercentField(_("Percent off"))
    amount = MoneyField(_("Amount off"))
    duration = RadioField(
        _("For how long"),
        choices=choices_of(
            (
                ("once", _("The first payment")),
                ("cycles", _("The first few payments")),
                ("forever", _("Every payment")),
            )
        ),
        default="once",
    )
    cycles = WholeField(_("How many payments"), 2, 36)
    name = LineField(_("Name"), [Length(max=80)])
    plans = checks(_("Only for these plans"))
    intervals = checks(_("Only when paid"))
    countries = checks(_("Only to these countries"))
    first_time_only = BooleanField(_("Only for a customer's first order"))
    starts_on = DayField(_("From"))
    ends_on = DayField(_("Last day"))
    max_uses = WholeField(_("Uses in all"), 1, 9_999_999)
    max_per_customer = WholeField(_("Uses per customer"), 1, 999)

    def __init__(
        self,
        formdata: Any,
        currency: str,
        plans: Sequence[Priced],
        countries: Sequence[tuple[str, str]],
    ) -> None:
        super().__init__(formdata)
        if not self.way.data:
            self.way.data = "code"
        self.amount.currency = currency
        self.plans.choices = choices_of({p.plan_code: p.plan_name for p in plans}.items())
        intervals = {interval_code(p.interval): interval_name(p.interval) for p in plans}
        self.intervals.choices = choices_of(intervals.items())
        self.countries.choices = choices_of(countries)

    def validate_code(self, field: LineField) -> None:
        if self.way.data != "code":
            return
        if not field.text:
            raise ValidationError(gettext("Enter a code, like LEMON"))
        if not any(character.isalnum() for character in normalise_code(field.text)):
            raise ValidationError(gettext("Use letters and digits, 40 at most"))

    def validate_percent(self, field: PercentField) -> None:
        if self.kind.data == "percent" and not field.basis_points and not field.errors:
            raise ValidationError(gettext("Enter a number from 1 to 100"))

    def validate_amount(self, field: MoneyField) -> None:
        if field.errors or not field.money.is_zero:
            return
        if self.kind.data == "fixed":
            raise ValidationError(gettext("Enter what it takes off"))
        if self.kind.data == "first_box_price":
            raise ValidationError(gettext("Enter what the first box costs"))

    def validate_name(self, field: LineField) -> None:
        if self.way.data == "automatic" and not field.text:
            raise ValidationError(gettext("Enter the name that the line shows"))

    def validate_cycles(self, field: WholeField) -> None:
        if self.duration.data == "cycles" and field.number is None:
            raise ValidationError(gettext("Enter how many payments, such as 3"))

    def validate_ends_on(self, field: DayField) -> None:
        if field.errors or self.starts_on.errors:
            return
        if field.day and self.starts_on.day and field.day < self.starts_on.day:
            raise ValidationError(gettext("Choose a last day that is not before the first day"))

    def draft(self) -> CouponDraft:
        """Return what was typed. Only after validation."""
        fixed = self.kind.data in ("fixed", "first_box_price")
        return CouponDraft(
            kind=self.kind.data,
            applies_to="fee" if self.applies_to_fee.data else "box",
            is_automatic=self.way.data == "automatic",
            has_unique_codes=self.way.data == "unique",
            priority=self.priority.number or 100,
            combines=not self.alone.data,
            from_billed=self.from_billed.number or 1,
            code=self.code.text,
            name=self.name.text,
            percent_bp=self.percent.basis_points if self.kind.data == "percent" else 0,
            amount=self.amount.money if fixed else None,
            duration=self.duration.data,
            cycles=self.cycles.number or 1,
            plans=tuple(self.plans.data or ()),
            intervals=self._intervals(),
            countries=tuple(self.countries.data or ()),
            first_time_only=self.first_time_only.data,
            starts_on=self.starts_on.day,
            ends_on=self.ends_on.day,
            max_uses=self.max_uses.number,
            max_per_customer=self.max_per_customer.number,
        )

    def _intervals(self) -> tuple[Interval, ...]:
        found = [interval_from(code) for code in self.intervals.data or ()]
        return tuple(interval for interval in found if interval is not None)


class BatchForm(Form):
    """Codes to make, each good for one order."""

    name = LineField(
        _("Name of the batch"),
        [InputRequired(_("Enter a name, such as Spring flyer")), Length(max=40)],
    )
    count = WholeField(_("How many codes"), 1, MOST)
    prefix = LineField(_("What each begins with"), [Length(max=LONGEST_PREFIX)])

    def validate_count(self, field: WholeField) -> None:
        if not field.errors and field.number is None:
            raise ValidationError(gettext("Enter how many codes, such as 500"))

    def draft(self) -> BatchDraft:
        """Return what was typed. Only after validation."""
        return BatchDraft(self.name.text, self.count.number or 0, self.prefix.text)
