"""What a customer types in the account."""

from __future__ import annotations

from collections.abc import Sequence

from babel import Locale
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import (
    BooleanField,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    TelField,
    TextAreaField,
    ValidationError,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, Optional

from storefront.blueprints.address_parts import (
    Needed,
    PostalParts,
    RegionField,
    check_postcode,
)
from storefront.blueprints.forms import Form
from storefront.blueprints.leaving_words import REASONS


def _strip(text: str | None) -> str:
    return " ".join((text or "").split())


class AddressForm(PostalParts, Form):
    """Where a box goes."""

    name = StringField(
        _("Full name"),
        [
            InputRequired(_("Enter the name on the doorbell or parcel box")),
            Length(max=80, message=_("Name must be 80 characters or fewer")),
        ],
        filters=[_strip],
    )
    company = StringField(
        _("Company"), [Length(max=80, message=_("Use 80 characters or fewer"))], filters=[_strip]
    )
    street = StringField(
        _("Street and number"),
        [
            InputRequired(_("Enter the street and house number")),
            Length(max=120, message=_("Use 120 characters or fewer")),
        ],
        filters=[_strip],
    )
    extra = StringField(
        _("Flat, floor or note"),
        [Length(max=120, message=_("Use 120 characters or fewer"))],
        filters=[_strip],
    )
    postcode = StringField(
        _("Postcode"),
        [Needed(), Length(max=16, message=_("Use 16 or fewer"))],
        filters=[_strip],
    )
    city = StringField(
        _("Town"),
        [
            Needed(),
            Length(max=80, message=_("Use 80 characters or fewer")),
        ],
        filters=[_strip],
    )
    region = RegionField(
        _("State or region"),
        [Length(max=80, message=_("Use 80 characters or fewer"))],
        filters=[_strip],
    )
    phone = TelField(
        _("Phone"),
        [Length(max=32, message=_("A phone number has 32 characters at most"))],
        filters=[_strip],
    )
    country = SelectField(_("Country"), validate_choice=False)
    as_typed = BooleanField(_("The postcode is right, use it as typed"))

    def offer(self, countries: Sequence[str], locale: Locale) -> AddressForm:
        """Fill in the countries delivered to, by their names in the reader's language."""
        names = [(str(locale.territories.get(code, code)), code) for code in countries]
        self.country.choices = [SelectChoice(code, name) for name, code in sorted(names)]
        return self

    def validate_postcode(self, field: StringField) -> None:
        if not self.as_typed.data:
            check_postcode(self, field)

    @property
    def asks_as_typed(self) -> bool:
        """True when the postcode was refused for its pattern, or was taken as typed before."""
        return bool(self.as_typed.data) or (bool(self.postcode.data) and bool(self.postcode.errors))

    def validate_country(self, field: SelectField) -> None:
        if field.data not in {choice.value for choice in field.choices or ()}:
            raise ValidationError(gettext("We do not deliver there yet. Choose another country"))


class LeavingForm(Form):
    """Why somebody goes; nothing of it is needed."""

    why = RadioField(
        _("Why are you leaving?"),
        [Optional()],
        choices=[SelectChoice(code, word) for code, word in REASONS],
        validate_choice=False,
    )
    note = TextAreaField(_("Anything you want to tell us"), filters=[lambda text: text or ""])


class EraseForm(Form):
    """Somebody wants their account deleted, and knows what that means."""

    present = PasswordField(_("Your password"))
    #: Where there is no password.
    code = StringField(
        _("Code from the e-mail"),
        filters=[lambda text: "".join((text or "").split()).replace("-", "")],
    )
    sure = BooleanField(
        _("Delete my account. I know that it cannot be brought back."),
        [InputRequired(_("Tick the box to say that you are sure"))],
    )


class PasswordForm(Form):
    """A new password, and the present one where there is one."""

    present = PasswordField(_("Present password"))
    new = PasswordField(_("New password"), [InputRequired(_("Enter a new password"))])
