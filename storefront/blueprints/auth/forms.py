"""What is typed to sign in."""

from __future__ import annotations

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import EmailField, PasswordField, StringField, ValidationError
from wtforms.validators import InputRequired

from storefront.blueprints.forms import Form
from storefront.domain.privacy import NotAnEmail, normalise_email


class Email(EmailField):
    """An address, normalised; what was typed is shown again as it was."""

    def pre_validate(self, form: Form) -> None:
        try:
            normalise_email(self.data or "")
        except NotAnEmail:
            raise ValidationError(gettext("Enter an e-mail like name@example.com")) from None

    @property
    def address(self) -> str:
        """The address in the form it is stored in. Only after validation."""
        return normalise_email(self.data or "")


class MailForm(Form):
    """Step 1: who are you?"""

    email = Email(_("E-mail"), [InputRequired(_("Enter your e-mail"))])


class PasswordForm(Form):
    """The other way: e-mail and password at once."""

    email = Email(_("E-mail"), [InputRequired(_("Enter your e-mail"))], id="password-email")
    password = PasswordField(_("Password"), [InputRequired(_("Enter your password"))])


class SecondStepForm(Form):
    """The code of an authenticator, or a recovery code."""

    code = StringField(
        _("Code of your app, or a recovery code"), [InputRequired(_("Enter the code of your app"))]
    )


class CodeForm(Form):
    """Step 2: the six digits of the mail."""

    code = StringField(
        _("Code from the e-mail"),
        [InputRequired(_("Enter the six digits from the e-mail"))],
        filters=[lambda text: "".join((text or "").split()).replace("-", "")],
    )

    def validate_code(self, field: StringField) -> None:
        if len(field.data or "") != 6 or not (field.data or "").isdecimal():
            raise ValidationError(gettext("The code has six digits"))
