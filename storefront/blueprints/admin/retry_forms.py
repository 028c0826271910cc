"""What is typed about tries after a decline: of a plan, and of a group of subscribers."""

from __future__ import annotations

import re
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import RadioField, SelectField, ValidationError
from wtforms.validators import InputRequired, Length

from storefront.blueprints.admin.fields import LineField, WholeField, checks, choices_of
from storefront.blueprints.forms import Form
from storefront.domain.charging import MAX_TRIES_PER_MONTH
from storefront.domain.dunning import LONGEST_DAYS, is_within_ceilings
from storefront.services.retry_schedules import ScheduleDraft

#: Tries by the clock that a schedule may have.
MOST_TRIES = 8
LAST = (
    ("cancel", _("End the subscription")),
    ("pause", _("Credit the invoice and pause it until the customer comes back")),
    ("leave", _("Leave it past due")),
)
_BEGAN = (
    ("any", _("Whenever they began")),
    ("within", _("Who began at most so many days before the decline")),
    ("before", _("Who began longer ago than that")),
)
#: The longest a subscription is looked back on, in days.
_MOST_DAYS = 3650


class RetryForm(Form):
    """Days and time of the tries, and what follows the last."""

    retry_days = LineField(_("Try a declined charge again after"))
    retry_time = LineField(_("At this time of day"), default="09:00")
    last_action = RadioField(_("If every try fails"), choices=choices_of(LAST))

    def validate_retry_days(self, field: LineField) -> None:
        days = self.days
        if days is None or days != sorted(set(days)):
            raise ValidationError(gettext("Enter days in order, like 3, 8, 15"))
        if days and days[-1] > LONGEST_DAYS:
            raise ValidationError(gettext("60 days is the longest a chase may take"))
        if not is_within_ceilings(days):
            raise ValidationError(
                gettext(
                    "The card schemes allow %(month)s tries in 30 days, the first charge counted",
                    month=MAX_TRIES_PER_MONTH,
                )
            )
        if len(days) > MOST_TRIES:
            raise ValidationError(
                gettext("A schedule has at most %(count)s tries", count=MOST_TRIES)
            )

    def validate_retry_time(self, field: LineField) -> None:
        if self.minute is None:
            raise ValidationError(gettext("Enter a time like 09:00"))

    @property
    def minute(self) -> int | None:
        """The time of the tries in minutes after midnight, 9:00 if empty; None if it is no time."""
        if not self.retry_time.text:
            return 9 * 60
        found = re.fullmatch(r"([01]?\d|2[0-3])[:.]([0-5]\d)", self.retry_time.text, re.ASCII)
        return int(found[1]) * 60 + int(found[2]) if found else None

    @property
    def days(self) -> list[int] | None:
        parts = [part for part in re.split(r"[\s,;]+", self.retry_days.text) if part]
        if not all(re.fullmatch(r"[1-9]\d{0,2}", part, re.ASCII) for part in parts):
            return None
        return [int(part) for part in parts]


class ScheduleForm(RetryForm):
    """A group of subscribers and its schedule."""

    name = LineField(
        _("Name of the group"),
        [
            InputRequired(_("Enter a name")),
            Length(max=80, message=_("Use 80 characters or fewer")),
        ],
    )
    plan = SelectField(_("Plan"), validate_choice=True)
    countries = checks(_("Boxes go to"))
    began = RadioField(_("How long they have subscribed"), choices=choices_of(_BEGAN))
    began_days = WholeField(_("So many days"), 1, _MOST_DAYS, default="90")

    def __init__(
        self,
        formdata: Any,
        plans: list[tuple[str, str]],
        countries: list[tuple[str, str]],
        data: dict[str, Any],
    ) -> None:
        super().__init__(formdata, data=data)
        self.plan.choices = choices_of([("", gettext("Any plan")), *plans])
        self.countries.choices = choices_of(countries)

    def validate_name(self, field: LineField) -> None:
        if not (self.plan.data or self.countries.data or self.began.data != "any"):
            raise ValidationError(
                gettext("Choose a plan, a country or a time below: everybody has their plan's")
            )

    def draft(self) -> ScheduleDraft:
        """Return the schedule of a valid form."""
        return ScheduleDraft(
            name=self.name.text,
            retry_days=tuple(self.days or ()),
            last_action=self.last_action.data,
            retry_minute=self.minute or 0,
            plan=self.plan.data or "",
            countries=tuple(self.countries.data or ()),
            began=self.began.data,
            began_days=self.began_days.number or 90,
        )


def time_text(minute: int) -> str:
    """Return minutes after midnight as they are typed.

    >>> time_text(545)
    '09:05'
    """
    return f"{minute // 60:02d}:{minute % 60:02d}"
