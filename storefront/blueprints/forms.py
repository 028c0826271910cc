"""The base of every form: what the library would say by itself, said in the shop's words.

A message of a form says how to put the entry right. Those of WTForms say what is wrong with it,
in words of their own; a field or check that is given no text of ours falls back on them.
"""

from __future__ import annotations

from typing import Any

from flask_babel import gettext, lazy_gettext, ngettext
from wtforms import Field, PasswordField
from wtforms import Form as _Form
from wtforms.meta import DefaultMeta
from wtforms.validators import InputRequired, StopValidation

from storefront.blueprints.typed import one_line

_LOOK = lazy_gettext("Check what stands here")
_CHOOSE = lazy_gettext("Choose one from the list")
_DAY = lazy_gettext("Enter a day like 2027-03-12")
_NUMBER = lazy_gettext("Enter a number, like 26.50")
_WHOLE = lazy_gettext("Enter a whole number, like 120")
#: Text of the library -> ours, with the same placeholders: the library fills them in.
_WORDS = {
    "This field is required.": lazy_gettext("Fill in this field"),
    "Field must be between %(min)d and %(max)d characters long.": lazy_gettext(
        "Use %(min)d to %(max)d characters"
    ),
    "Number must be at least %(min)s.": lazy_gettext("Enter %(min)s or more"),
    "Number must be at most %(max)s.": lazy_gettext("Enter %(max)s or less"),
    "Number must be between %(min)s and %(max)s.": lazy_gettext(
        "Enter a number from %(min)s to %(max)s"
    ),
    "Date must be at least %(min)s.": lazy_gettext("Choose a day from %(min)s on"),
    "Date must be at most %(max)s.": lazy_gettext("Choose a day up to %(max)s"),
    "Date must be between %(min)s and %(max)s.": lazy_gettext(
        "Choose a day from %(min)s to %(max)s"
    ),
    "Invalid email address.": lazy_gettext("Enter an e-mail like name@example.com"),
    "Invalid URL.": lazy_gettext("Enter an address like https://example.com"),
    "Invalid Choice: could not coerce.": _CHOOSE,
    "Not a valid choice.": _CHOOSE,
    "Invalid choice(s): one or more data inputs could not be coerced.": _CHOOSE,
    "Not a valid date value.": _DAY,
    "Not a valid datetime value.": _DAY,
    "Not a valid time value.": lazy_gettext("Enter a time like 14:30"),
    "Not a valid integer value.": _WHOLE,
    "Not a valid decimal value.": _NUMBER,
    "Not a valid float value.": _NUMBER,
}


class _Words:
    """What WTForms asks for its texts, in the reader's language."""

    def gettext(self, string: str) -> str:
        return str(_WORDS.get(string, _LOOK))

    def ngettext(self, singular: str, _plural: str, number: int) -> str:
        if singular.startswith("Field must be at least"):
            return ngettext(
                "Use %(num)s character or more", "Use %(num)s characters or more", number
            )
        if singular.startswith("Field cannot be longer"):
            return ngettext(
                "Use %(num)s character or fewer", "Use %(num)s characters or fewer", number
            )
        if singular.startswith("Field must be exactly"):
            return ngettext(
                "Use exactly %(num)s character", "Use exactly %(num)s characters", number
            )
        return gettext("Choose from the list only")


class _Filled(InputRequired):
    """A required field with something to read in it: the library's takes a blank for an entry."""

    def __call__(self, form: _Form, field: Field) -> None:
        typed = field.raw_data[0] if field.raw_data else ""
        if not isinstance(typed, str) or one_line(typed):
            super().__call__(form, field)
            return
        field.errors[:] = []
        raise StopValidation(self.message or field.gettext("This field is required."))


class Form(_Form):
    """A form whose every message is the shop's own, and that takes no blank for an entry."""

    class Meta(DefaultMeta):
        """Hands the library our words, and fields our idea of what is required."""

        def bind_field(self, form: Any, unbound_field: Any, options: Any) -> Field:
            field = super().bind_field(form, unbound_field, options)
            if not isinstance(field, PasswordField):
                field.validators = tuple(
                    _Filled(each.message) if type(each) is InputRequired else each
                    for each in field.validators
                )
            return field

        def get_translations(self, form: Any) -> _Words:
            return _Words()
