"""Step 2 of an order that is given away: who gets it, from when on, and what to write."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from flask import Response, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import DateField, EmailField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length

from storefront.blueprints.checkout.loading import load, shown
from storefront.blueprints.checkout.steps import bp, countries_of
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain.gifts import DAYS_AHEAD, MESSAGE_MOST, GiftWish, problem_of_day
from storefront.domain.privacy import NotAnEmail, mask_card_numbers, normalise_email
from storefront.htmx import go, show
from storefront.logins import current_customer
from storefront.operations.checkout import Order, why_not_givable
from storefront.security import PUBLIC, register_policy
from storefront.services.checkout import change_gift

register_policy({f"checkout.{name}": PUBLIC for name in ("gift", "save_gift")})
_FOLDER = "storefront/checkout"


def _is_email(_form: Form, field: EmailField) -> None:
    try:
        normalise_email(field.data or "")
    except NotAnEmail:
        raise ValidationError(_("Enter an e-mail like name@example.com")) from None


def _lines(text: str | None) -> str:
    """Return a message with its lines, without blanks around them."""
    return "\n".join(" ".join(line.split()) for line in (text or "").strip().splitlines())


_NAME = Length(max=80, message=lazy_gettext("Name must be 80 characters or fewer"))


class GiftForm(Form):
    """Who gives it, who gets it, and when."""

    to_name = StringField(
        lazy_gettext("Their name"),
        [DataRequired(lazy_gettext("Enter the name of who gets it")), _NAME],
        filters=[one_line],
    )
    to_email = EmailField(
        lazy_gettext("Their e-mail"),
        [DataRequired(lazy_gettext("Enter the e-mail of who gets it")), _is_email],
        filters=[one_line],
    )
    country = SelectField(lazy_gettext("Country they live in"), validate_choice=False)
    send_on = DateField(
        lazy_gettext("When they hear of it"),
        [InputRequired(lazy_gettext("Enter a day like 24/12/2027"))],
    )
    message = TextAreaField(
        lazy_gettext("Your message"),
        [
            Length(
                max=MESSAGE_MOST,
                message=lazy_gettext("The message must be 400 characters or fewer"),
            )
        ],
        filters=[_lines],
    )
    email = EmailField(
        lazy_gettext("Your e-mail"),
        [DataRequired(lazy_gettext("Enter your e-mail")), _is_email],
        filters=[one_line],
    )
    name = StringField(
        lazy_gettext("Your name"),
        [DataRequired(lazy_gettext("Enter your name")), _NAME],
        filters=[one_line],
    )

    def validate_country(self, field: SelectField) -> None:
        if field.data not in {choice.value for choice in field.choices}:
            raise ValidationError(_("We do not deliver there yet. Choose another country"))

    def validate_send_on(self, field: DateField) -> None:
        if field.data is None:
            # What was typed is no day, which is said already.
            return
        problem = problem_of_day(field.data, runtime().today())
        if problem == "past":
            raise ValidationError(_("That day is over. Choose today or a later one"))
        if problem:
            raise ValidationError(_("Choose a day within the next %(days)s days", days=DAYS_AHEAD))

    def wish(self) -> GiftWish:
        """Return what a valid form says."""
        day = self.send_on.data
        assert isinstance(day, date)
        email = normalise_email(self.to_email.data or "")
        message = mask_card_numbers(self.message.data or "")
        return GiftWish(self.to_name.data or "", email, self.country.data, message, day)


@bp.get("/checkout/<key>/gift")
def gift(key: str) -> Response:
    """Ask who gets the box."""
    order = load(runtime(), key, "delivery")
    return _page(order, _form(order))


@bp.post("/checkout/<key>/gift")
def save_gift(key: str) -> Response:
    """Make the order a gift; a signed-in customer gives under their own e-mail."""
    rt = runtime()
    order = load(rt, key, "delivery")
    given: Any = request.form.copy()
    customer = current_customer()
    if customer is not None:
        given["email"] = customer.email
    form = _form(order, given)
    if why_not_givable(order) or not form.validate():
        return _page(order, form, 422)
    email = normalise_email(form.email.data or "")
    change_gift(rt, key, email, form.name.data or "", form.wish())
    after = load(rt, key)
    if after.quote is None:
        # No round is planned that a box of that day could join.
        form.send_on.errors = [_("No box can be promised for that day. Choose an earlier one")]
        return _page(after, form, 422)
    return go(url_for("checkout.pay", key=key))


def _form(order: Order, given: Any = None) -> GiftForm:
    rt, wish = runtime(), order.gift
    countries = countries_of(rt)
    known: dict[str, Any] = {
        "email": order.checkout.email,
        "name": order.checkout.address.get("name", ""),
        "country": wish.country if wish else countries[0][0],
        "send_on": wish.send_on if wish else rt.today(),
    }
    if wish is not None:
        known |= {"to_name": wish.name, "to_email": wish.email, "message": wish.message}
    form = GiftForm(given, data=known)
    form.country.choices = [SelectChoice(code, name) for code, name in countries]
    return form


def _page(order: Order, form: GiftForm, status: int = 200) -> Response:
    values = shown(order, "delivery")
    if order.gift is None:
        # What follows the first payment of a box of one's own is not what a gift promises.
        values |= {"boxes": [replace(box, then=[]) for box in values["boxes"]], "may_add": False}
    return show(
        f"{_FOLDER}/gift.html",
        f"{_FOLDER}/_gift_form.html",
        status,
        form=form,
        countries=countries_of(runtime()),
        refused=why_not_givable(order),
        most=MESSAGE_MOST,
        page_has_errors=status != 200,
        **values,
    )
