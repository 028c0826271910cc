"""How often, as a merchant enters it: a number and days, weeks, months or years."""

from __future__ import annotations

import unicodedata

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import Field, Form, ValidationError
from wtforms.widgets import TextInput

from storefront.blueprints.intervals import interval_from
from storefront.domain.periods import Interval

#: Unit in the code of an interval -> its word, and the most of them: cycles are planned a year
#: ahead, and a card lives three to five years.
_UNITS = {
    "d": (_("days"), 365),
    "w": (_("weeks"), 52),
    "m": (_("months"), 36),
    "y": (_("years"), 3),
}


class IntervalField(Field):
    """Every so many days, weeks, months or years; ``data`` is the code, such as ``6w``.

    Drawn as two controls of one name (``components/forms.html``), so that what they send is
    read as one entry.
    """

    widget = TextInput()

    @property
    def count(self) -> str:
        """The number as it was typed."""
        return self.data[:-1] if self.data else ""

    @property
    def units(self) -> list[tuple[str, str, bool]]:
        """Each unit's code and word, and whether it is the one chosen."""
        chosen = self.data[-1] if self.data else "m"
        return [(code, str(word), code == chosen) for code, (word, _most) in _UNITS.items()]

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            typed = "".join(unicodedata.normalize("NFKC", each).strip() for each in valuelist)
            self.data = typed.lstrip("0")[:8]

    def pre_validate(self, form: Form) -> None:
        found = interval_from(self.data)
        if found is None or found.count > _UNITS[self.data[-1]][1]:
            raise ValidationError(
                gettext("Enter a whole number: at most 365 days, 52 weeks, 36 months or 3 years")
            )

    @property
    def interval(self) -> Interval:
        """The interval. Only after validation: raises ``ValueError`` for anything else."""
        found = interval_from(self.data)
        if found is None:
            raise ValueError(self.data)
        return found

    @property
    def is_months(self) -> bool:
        """Whether it counts in months or years; False as well while nothing valid is typed."""
        found = interval_from(self.data)
        return found is not None and found.months is not None
