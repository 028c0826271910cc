"""What is typed to make and change plans, prices, questions and cycle groups."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, RadioField, SelectField, TextAreaField, ValidationError
from wtforms.validators import InputRequired, Length

from storefront.blueprints.admin.fields import (
    DayField,
    LineField,
    LinesField,
    MoneyField,
    WholeField,
    choices_of,
)
from storefront.blueprints.admin.interval_field import IntervalField
from storefront.blueprints.admin.retry_forms import RetryForm
from storefront.blueprints.admin.translated import in_languages, typed_translations
from storefront.blueprints.forms import Form
from storefront.domain.access_codes import access_code
from storefront.templating import slug

NAME = [
    InputRequired(_("Enter a name")),
    Length(max=80, message=_("Use 80 characters or fewer")),
]
_TAX = (
    ("standard", _("Standard rate")),
    ("reduced", _("Reduced rate, such as food and books")),
    ("zero", _("No tax")),
)


def slug_of(text: str) -> str:
    """Return ``text`` as a short name for addresses, another one for every other name.

    What has no letter of ours, as Chinese or signs, leaves nothing to tell it by: it goes by a
    few signs reckoned from the whole of it.
    """
    short = slug(text)[:40].strip("-")
    plain = unicodedata.normalize("NFKD", text).lower()
    if re.search("[a-z]", plain) or re.fullmatch(r"[\s\d]+", plain, re.ASCII):
        return short
    return f"{short[:31].strip('-')}-{sha256(text.encode()).hexdigest()[:8]}"


class PlanForm(Form):
    """A new plan with its first price."""

    name = LineField(_("Name"), NAME)
    tagline = LineField(_("One sentence about it"), [Length(max=200)])
    amount = MoneyField(_("Price"), [InputRequired(_("Enter an amount like 26.00"))])
    billing = IntervalField(_("Paid every"), default="1m")
    shipping = IntervalField(_("A box leaves every"), default="1m")
    group = SelectField(_("Packed with"), validate_choice=True)
    tax_class = RadioField(_("Tax"), choices=choices_of(_TAX), default="reduced")

    def __init__(self, formdata: Any, groups: list[tuple[str, str]], currency: str) -> None:
        super().__init__(formdata)
        self.group.choices = choices_of(groups)
        self.amount.currency = currency


class TextForm(Form):
    """What a plan says and where it stands."""

    name = LineField(_("Name"), NAME)
    tagline = LineField(_("One sentence about it"), [Length(max=200)])
    description = TextAreaField(_("Description"), [Length(max=4000)])
    benefits = LinesField(_("Benefits, one per line"), 8, 120)
    is_recommended = BooleanField(_("Recommended: stands out on the pricing page"))
    is_public = BooleanField(_("Listed on the pricing page"))
    access_code = LineField(_("Code that opens it"), [Length(max=60)])
    position = WholeField(_("Place on the pricing page"), 0, 999)

    def validate_access_code(self, field: Any) -> None:
        """A code that is too short is guessed, one with other signs is misheard."""
        if field.text and not access_code(field.text):
            raise ValidationError(_("Enter 6 to 40 letters and digits, such as FRIENDS-2027"))


#: What a plan says, and how each of it is typed in another language.
TEXTS: dict[str, Any] = {
    "name": lambda: LineField(_("Name"), [Length(max=80)]),
    "tagline": lambda: LineField(_("One sentence about it"), [Length(max=200)]),
    "benefits": lambda: LinesField(_("Benefits, one per line"), 8, 120),
    "description": lambda: TextAreaField(_("Description"), [Length(max=4000)]),
}
in_languages(TextForm, TEXTS)


class RulesForm(RetryForm):
    """Tax, and what happens after a decline."""

    tax_class = RadioField(_("Tax"), choices=choices_of(_TAX))


class RhythmForm(Form):
    """How often a box leaves, and with which other plans it is packed."""

    shipping = IntervalField(_("A box leaves every"))
    group = SelectField(_("Packed with"))

    def __init__(
        self, formdata: Any, groups: list[tuple[str, str]], now: dict[str, Any] | None = None
    ) -> None:
        super().__init__(formdata, data=now)
        self.group.choices = choices_of(groups)


class RepriceForm(Form):
    """Another amount for a price on sale, in its currency."""

    amount = MoneyField(_("Price"), [InputRequired(_("Enter an amount like 26.00"))])

    def __init__(
        self, formdata: Any, currency: str, now: dict[str, Any] | None = None, prefix: str = ""
    ) -> None:
        super().__init__(formdata, data=now, prefix=prefix)
        self.amount.currency = currency


class PriceForm(Form):
    """A price for one interval."""

    amount = MoneyField(_("Price"), [InputRequired(_("Enter an amount like 26.00"))])
    billing = IntervalField(_("Paid every"))

    def __init__(self, formdata: Any, currency: str, interval: str = "") -> None:
        super().__init__(formdata, data={"billing": interval})
        self.amount.currency = currency


class QuestionForm(Form):
    """A question about the box."""

    question = LineField(
        _("New question"), [InputRequired(_("Enter the question")), Length(max=80)]
    )


class NameForm(Form):
    """Another name of a question or an answer."""

    name = LineField(_("New name"), NAME)

    def __init__(
        self, formdata: Any, key: str, now: str = "", others: Mapping[str, Any] | None = None
    ) -> None:
        """``key``: code of the question, or of question and answer with a point between."""
        known = {"name": now, **typed_translations(others or {})}
        super().__init__(formdata, data=known, prefix=f"{key}-new-")
        #: The question whose words it changes.
        self.renames = key.partition(".")[0]


#: What of a question or an answer is typed in another language.
NAMES: dict[str, Any] = {"name": lambda: LineField(_("New name"), [Length(max=80)])}
in_languages(NameForm, NAMES)


class SurchargeForm(Form):
    """What an answer costs on top."""

    surcharge = MoneyField(_("Costs more per box"))

    def __init__(
        self, formdata: Any, currency: str, now: dict[str, Any] | None = None, prefix: str = ""
    ) -> None:
        super().__init__(formdata, data=now, prefix=prefix)
        self.surcharge.currency = currency


class OptionForm(Form):
    """An answer with what it costs on top."""

    option = LineField(_("New answer"), [InputRequired(_("Enter the answer")), Length(max=80)])
    surcharge = MoneyField(_("Costs more per box"))

    def __init__(self, formdata: Any, currency: str, prefix: str = "") -> None:
        super().__init__(formdata, prefix=prefix)
        self.surcharge.currency = currency


_WEEKDAYS = (
    ("1", _("Monday")),
    ("2", _("Tuesday")),
    ("3", _("Wednesday")),
    ("4", _("Thursday")),
    ("5", _("Friday")),
    ("6", _("Saturday")),
    ("7", _("Sunday")),
)


class GroupForm(Form):
    """A new cycle group."""

    name = LineField(_("Name"), NAME)
    interval = IntervalField(_("A box leaves every"), default="1m")
    kind = RadioField(
        _("When are subscribers charged?"),
        choices=choices_of(
            (
                ("calendar", _("All on the same day")),
                ("rolling", _("Each on the day they began")),
            )
        ),
        default="calendar",
    )
    charge_day = WholeField(_("Charge day of the month"), 1, 31, default="12")
    weekday = SelectField(
        _("Charge or packing day of the week"), choices=choices_of(_WEEKDAYS), default="1"
    )
    anchor = DayField(_("First packing day"))
    cutoff_days = WholeField(_("Cut-off, days before"), 0, 28, default="1")
    lock_days = WholeField(_("Lock, days after"), 0, 28, default="3")
    ship_days = WholeField(_("Ships, days after"), 0, 40, default="6")
    ship_window_days = WholeField(_("Shipping takes, days"), 0, 14, default="2")

    def validate_charge_day(self, field: WholeField) -> None:
        calendar = self.kind.data == "calendar" and self.interval.is_months
        if calendar and not (field.data or "").strip():
            raise ValidationError(gettext("Enter a whole number from 1 to 31"))

    def validate_ship_days(self, field: WholeField) -> None:
        if field.errors or self.lock_days.errors:
            return
        if (field.number or 0) < (self.lock_days.number or 0):
            raise ValidationError(gettext("Boxes ship on the lock day or later"))

    def charge(self) -> int | None:
        """Return the charge day as groups keep it: None when each has their own."""
        if self.kind.data == "rolling":
            return None
        if self.interval.interval.months is None:
            return int(self.weekday.data)
        return self.charge_day.number

    def anchor_on(self, today: date) -> date:
        """Return the day from which cycles are made."""
        return self.anchor.day or today
