"""What is typed on the way to an order; messages say how to put it right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from wtforms import (
    BooleanField,
    EmailField,
    FormField,
    RadioField,
    SelectField,
    StringField,
    TelField,
    ValidationError,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length

from storefront.blueprints.address_parts import (
    Needed,
    PostalParts,
    RegionField,
    check_postcode,
)
from storefront.blueprints.forms import Form
from storefront.blueprints.intervals import interval_code
from storefront.blueprints.typed import one_line
from storefront.domain.addons import MOST, Cadence
from storefront.domain.boxes import boxes_per_period
from storefront.domain.postal import WITH_REGION
from storefront.domain.privacy import NotAnEmail, normalise_email
from storefront.formats import interval_name
from storefront.merchant_texts import said
from storefront.operations.billing import PARTS
from storefront.operations.offers import Question
from storefront.operations.order_items import OrderItem
from storefront.operations.order_rows import ADDRESS_COLUMNS
from storefront.templating import writing_locale

#: Form fields of questions are called by their code, which a merchant chooses.
ANSWER = "option-"
#: So are those of add-ons: whether, how often, how many.
ADDON, OFTEN, NUMBER = "addon-", "often-", "number-"
#: Said in a link or form by whom a box is to be given away.
GIFT = "gift"


#: Territories of the language data that are no country an invoice goes to.
_NOWHERE = frozenset({"AC", "CP", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"})


class ConsentField(BooleanField):
    """A box that must be ticked; its message names what is agreed to."""


def box_form(item: OrderItem, given: Any = None) -> Form:
    """Return the form of step 1: how often to pay, and the questions about the box.

    Whoever gives is asked for the number of boxes: what is paid once has no interval.
    """
    fields: dict[str, Any] = {}
    if len(item.prices) > 1:
        shipping = item.plan.shipping if request.values.get(GIFT) else None
        fields["interval"] = RadioField(
            _("How often you pay") if shipping is None else _("How many boxes you give"),
            [
                InputRequired(
                    _("Choose how often you pay")
                    if shipping is None
                    else _("Choose how many boxes you give")
                )
            ],
            choices=[
                SelectChoice(
                    interval_code(price.interval),
                    interval_name(price.interval)
                    if shipping is None
                    else _boxes(boxes_per_period(price.interval, shipping)),
                )
                for price in item.prices
            ],
            validate_choice=False,
        )
    for question in item.questions:
        fields[ANSWER + question.code] = _question(question)
    fields |= _addon_fields(item)
    kind = type("BoxForm", (Form,), {**fields, "validate_interval": _known_choice})
    known = {ANSWER + code: value for code, value in item.chosen.items()}
    for one in item.picked:
        ref = one.addon.public_id
        known |= {ADDON + ref: "y", OFTEN + ref: one.cadence.value, NUMBER + ref: str(one.quantity)}
    if item.price is not None:
        known["interval"] = interval_code(item.price.interval)
    form: Form = kind(given, data=known)
    return form


def _boxes(count: int) -> str:
    return str(ngettext("%(num)s box", "%(num)s boxes", count))


def _question(question: Question) -> RadioField:
    name = said(question.name)
    return RadioField(
        name,
        [InputRequired(_("Choose one: %(question)s", question=name)), _known_choice_of],
        choices=[SelectChoice(choice.code, said(choice.name)) for choice in question.choices],
        description=said(question.hint),
        validate_choice=False,
    )


def _addon_fields(item: OrderItem) -> dict[str, Any]:
    often = [(Cadence.ONCE.value, _("once")), (Cadence.EVERY.value, _("with every box"))]
    if not item.plan.shipping:
        often[1] = (Cadence.EVERY.value, _("with every payment"))
    numbers = [(str(number), str(number)) for number in range(1, MOST + 1)]
    fields: dict[str, Any] = {}
    for one in item.addons:
        fields[ADDON + one.public_id] = BooleanField(one.name, description=one.hint)
        for name, label, choices in (
            (OFTEN, _("How often %(name)s comes", name=said(one.name)), often),
            (NUMBER, _("Number of %(thing)s", thing=said(one.name)), numbers),
        ):
            fields[name + one.public_id] = SelectField(
                label,
                [_known_choice_of],
                choices=[SelectChoice(*choice) for choice in choices],
                default=choices[0][0],
                validate_choice=False,
            )
    return fields


def picked(form: Form, item: OrderItem) -> list[dict[str, Any]]:
    """Return the add-ons that are ticked rightly, as ``checkout.addons`` keeps them."""
    return [
        {
            "addon": one.public_id,
            "quantity": int(form[NUMBER + one.public_id].data),
            "cadence": form[OFTEN + one.public_id].data,
        }
        for one in item.addons
        if form[ADDON + one.public_id].data
        and not (form[NUMBER + one.public_id].errors or form[OFTEN + one.public_id].errors)
    ]


def _known_choice(_form: Form, field: RadioField) -> None:
    _known_choice_of(_form, field)


def _known_choice_of(_form: Form, field: RadioField) -> None:
    if field.data not in {choice.value for choice in field.choices}:
        raise ValidationError(_("That is no longer offered. Choose another one"))


def answers(form: Form, questions: Sequence[Question]) -> dict[str, str]:
    """Return the chosen option per question; of a form not valid yet, of those answered."""
    fields = {question.code: form[ANSWER + question.code] for question in questions}
    return {code: field.data for code, field in fields.items() if not field.errors}


class BillingForm(PostalParts, Form):
    """Whom the invoice is made out to; looked at only where it ``is_asked``."""

    is_asked = False

    name = StringField(
        lazy_gettext("Name or firm"),
        [
            DataRequired(lazy_gettext("Enter whom the invoice is for")),
            Length(max=80, message=lazy_gettext("Name must be 80 characters or fewer")),
        ],
        filters=[one_line],
    )
    country = SelectField(lazy_gettext("Country"), validate_choice=False)
    street = StringField(
        lazy_gettext("Street and number"),
        [
            DataRequired(lazy_gettext("Enter street and house number")),
            Length(max=120, message=lazy_gettext("Street must be 120 characters or fewer")),
        ],
        filters=[one_line],
    )
    postcode = StringField(
        lazy_gettext("Postcode"),
        [
            Needed(),
            Length(max=16, message=lazy_gettext("Postcode must be 16 characters or fewer")),
        ],
        filters=[one_line],
    )
    city = StringField(
        lazy_gettext("Town"),
        [
            Needed(),
            Length(max=80, message=lazy_gettext("Town must be 80 characters or fewer")),
        ],
        filters=[one_line],
    )
    region = RegionField(
        lazy_gettext("State or region"),
        [Length(max=80, message=lazy_gettext("State must be 80 characters or fewer"))],
        filters=[one_line],
    )
    extra = StringField(
        lazy_gettext("Department or note"),
        [Length(max=120, message=lazy_gettext("The note must be 120 characters or fewer"))],
        filters=[one_line],
    )

    def offer(self, names: Mapping[str, str]) -> BillingForm:
        """Take every country by ``names``: an invoice goes anywhere."""
        codes = [code for code in names if re.fullmatch("[A-Z]{2}", code) and code not in _NOWHERE]
        pairs = sorted((str(names[code]), code) for code in codes)
        self.country.choices = [SelectChoice(code, name) for name, code in pairs]
        return self

    def validate(self, extra_validators: Any = None) -> bool:
        """Check it where it is asked for."""
        return not self.is_asked or super().validate(extra_validators)

    def validate_country(self, field: SelectField) -> None:
        if field.data not in {choice.value for choice in field.choices}:
            raise ValidationError(_("Choose the country from the list"))

    @property
    def asks_region(self) -> bool:
        """True where an address names a state or province."""
        return self.place_country in WITH_REGION

    def address(self) -> dict[str, str]:
        """Return the address of a valid form, by column name."""
        parts = {name: self[name].data or "" for name in PARTS if name in self}
        return parts if self.asks_region else parts | {"region": ""}


class DeliveryForm(PostalParts, Form):
    """Step 2: who gets the box and where, and whom the invoice is for if it is somebody else."""

    email = EmailField(
        lazy_gettext("E-mail"),
        [DataRequired(lazy_gettext("Enter your e-mail"))],
        filters=[one_line],
    )
    name = StringField(
        lazy_gettext("Full name"),
        [
            DataRequired(lazy_gettext("Enter the name on the doorbell or parcel box")),
            Length(max=80, message=lazy_gettext("Name must be 80 characters or fewer")),
        ],
        filters=[one_line],
    )
    country = SelectField(lazy_gettext("Country"), validate_choice=False)
    street = StringField(
        lazy_gettext("Street and number"),
        [
            DataRequired(lazy_gettext("Enter street and house number")),
            Length(max=120, message=lazy_gettext("Street must be 120 characters or fewer")),
        ],
        filters=[one_line],
    )
    postcode = StringField(
        lazy_gettext("Postcode"),
        [
            Needed(),
            Length(max=16, message=lazy_gettext("Postcode must be 16 characters or fewer")),
        ],
        filters=[one_line],
    )
    city = StringField(
        lazy_gettext("Town"),
        [
            Needed(),
            Length(max=80, message=lazy_gettext("Town must be 80 characters or fewer")),
        ],
        filters=[one_line],
    )
    company = StringField(
        lazy_gettext("Company"),
        [Length(max=80, message=lazy_gettext("Company must be 80 characters or fewer"))],
        filters=[one_line],
    )
    extra = StringField(
        lazy_gettext("Flat, floor or note for the carrier"),
        [Length(max=120, message=lazy_gettext("The note must be 120 characters or fewer"))],
        filters=[one_line],
    )
    region = RegionField(
        lazy_gettext("State or region"),
        [Length(max=80, message=lazy_gettext("State must be 80 characters or fewer"))],
        filters=[one_line],
    )
    phone = TelField(
        lazy_gettext("Phone"),
        [Length(max=32, message=lazy_gettext("A phone number has 32 characters at most"))],
        filters=[one_line],
    )
    tax_id = StringField(
        lazy_gettext("VAT number"),
        [Length(max=24, message=lazy_gettext("A VAT number has 24 characters at most"))],
        filters=[one_line],
    )
    as_typed = BooleanField(lazy_gettext("The postcode is right, use it as typed"))
    #: That what is not tolerated may be kept.
    agree = BooleanField()
    apart = BooleanField(lazy_gettext("The invoice goes to another address"))
    billing = FormField(BillingForm)

    def validate(self, extra_validators: Any = None) -> bool:
        """Check the address of the invoice too, where it is another."""
        if self.billing is not None:
            self.billing.form.is_asked = bool(self.apart.data)
        return super().validate(extra_validators)

    def billed(self) -> dict[str, str]:
        """Return whom the invoice of a valid form is for, nothing where it is who gets the box."""
        return self.billing.form.address() if self.apart.data else {}

    def validate_email(self, field: EmailField) -> None:
        try:
            normalise_email(field.data or "")
        except NotAnEmail:
            raise ValidationError(_("Enter an e-mail like name@example.com")) from None

    def validate_country(self, field: SelectField) -> None:
        if field.data not in {choice.value for choice in field.choices}:
            raise ValidationError(_("We do not deliver there yet. Choose another country"))

    def validate_postcode(self, field: StringField) -> None:
        if not self.as_typed.data:
            check_postcode(self, field)

    @property
    def asks_as_typed(self) -> bool:
        """True when the postcode was refused for its pattern, or was taken as typed before."""
        return bool(self.as_typed.data) or (bool(self.postcode.data) and bool(self.postcode.errors))

    def address(self) -> dict[str, str]:
        """Return the address of a valid form, by column name."""
        return {name: self[name].data or "" for name in ADDRESS_COLUMNS}

    def drop_wrong(self) -> None:
        """Empty what is not right yet, so that the rest can be kept."""
        for field in self:
            if field.errors and field is self.billing:
                self.apart.data = False
            elif field.errors:
                field.data = ""


def delivery_form(
    countries: Sequence[tuple[str, str]], known: Mapping[str, Any], given: Any = None
) -> DeliveryForm:
    """Return the form of step 2 with ``countries`` as (code, name), filled with ``known``."""
    country = str(known.get("country") or countries[0][0])
    billing = dict(known.get("billing") or {"country": country})
    values = {"country": country, **known, "billing": billing, "apart": len(billing) > 1}
    form = DeliveryForm(given, data=values)
    form.billing.form.offer(writing_locale().territories)
    form.country.choices = [SelectChoice(code, name) for code, name in countries]
    return form


class PayForm(Form):
    """Step 3: how to pay, if there is a choice, and the consent; all else was typed before."""

    gateway = RadioField(lazy_gettext("How would you like to pay?"), validate_choice=False)
    consent = ConsentField()
    #: Mails about offers: apart from the consent, never ticked before, never needed.
    offers = BooleanField()

    def offer(self, ways: Sequence[tuple[str, str]], before: str = "") -> None:
        """Take the gateways to choose from; ``before`` is what was chosen last."""
        self.gateway.choices = [SelectChoice(*way) for way in ways]
        names = [name for name, _word in ways]
        if not self.gateway.raw_data:
            self.gateway.data = before if before in names else next(iter(names), "")

    @property
    def is_choice(self) -> bool:
        """True when there are several gateways to choose from."""
        return len(self.gateway.choices) > 1

    def check_gateway(self) -> bool:
        """Refuse a gateway that is not offered any more; True when the choice stands."""
        names = [choice.value for choice in self.gateway.choices]
        if not self.is_choice:
            self.gateway.data = next(iter(names), "")
        elif self.gateway.data not in names:
            self.gateway.errors = [_("Choose how you would like to pay")]
            return False
        return True

    def is_whole(self, unagreed: str, *, needs_method: bool) -> bool:
        """True when a way to pay is chosen and the consent given; else it is said beside them."""
        is_known = self.check_gateway() or not needs_method
        if not self.consent.data:
            self.consent.errors = [unagreed]
        return is_known and bool(self.consent.data)


class CodeForm(Form):
    """A promotion code. Only its length is checked here; the rest the shop knows."""

    code = StringField(lazy_gettext("Code"), filters=[one_line])
