"""Step 2 of an order that is given away: who gets it, where, from when on, and what to write."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from flask import Response, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import (
    DateField,
    EmailField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.fields.choices import SelectChoice
from wtforms.fields.core import UnboundField
from wtforms.validators import DataRequired, InputRequired, Length, StopValidation

from storefront.blueprints.address_parts import is_turning
from storefront.blueprints.checkout import allergies, tax_fields, unsaved
from storefront.blueprints.checkout.forms import DeliveryForm
from storefront.blueprints.checkout.loading import lacks_for_carrier, load, shown
from storefront.blueprints.checkout.steps import bp, countries_of, moved
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.places import as_asked, refuse, refuse_blocked
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


#: Who says where it goes, and by whom its recipient hears of it.
ASK, KNOWN = "ask", "known"
BY_MAIL, BY_GIVER = "mail", "giver"


def _if_known(form: Any, field: Any) -> None:
    if not form.knows_address:
        field.errors = []
        raise StopValidation


def _if_mailed(form: Any, field: Any) -> None:
    if form.is_quiet:
        field.errors = []
        raise StopValidation


def _where_known(of: Any) -> Any:
    """Return a field of an address that is asked only where the giver knows it."""
    label, checks, *rest = of.args
    kind: Any = UnboundField(of.field_class, label, [_if_known, *checks], *rest, **of.kwargs)
    return kind


_NAME = Length(max=80, message=lazy_gettext("Name must be 80 characters or fewer"))


class GiftForm(DeliveryForm):
    """Who gives it, who gets it and where, and when; ``email`` and ``name`` are the giver's."""

    #: The invoice of a gift is for who gives it.
    apart = None
    billing = None

    to_name = StringField(
        lazy_gettext("Their name"),
        [DataRequired(lazy_gettext("Enter the name of who gets it")), _NAME],
        filters=[one_line],
    )
    country = SelectField(lazy_gettext("Country they live in"), validate_choice=False)
    where = RadioField(
        lazy_gettext("Where does it go?"),
        choices=[
            SelectChoice(ASK, lazy_gettext("They say so themselves")),
            SelectChoice(KNOWN, lazy_gettext("I know the address")),
        ],
        default=ASK,
        validate_choice=False,
    )
    street = _where_known(DeliveryForm.street)
    postcode = _where_known(DeliveryForm.postcode)
    city = _where_known(DeliveryForm.city)
    region = _where_known(DeliveryForm.region)
    company = _where_known(DeliveryForm.company)
    extra = _where_known(DeliveryForm.extra)
    phone = _where_known(DeliveryForm.phone)
    tell = RadioField(
        lazy_gettext("How do they hear of it?"),
        choices=[
            SelectChoice(BY_MAIL, lazy_gettext("By our mail, on the day below")),
            SelectChoice(BY_GIVER, lazy_gettext("From me, or by the parcel")),
        ],
        default=BY_MAIL,
        validate_choice=False,
    )
    to_email = EmailField(
        lazy_gettext("Their e-mail"),
        [_if_mailed, DataRequired(lazy_gettext("Enter the e-mail of who gets it")), _is_email],
        filters=[one_line],
    )
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
        [DataRequired(lazy_gettext("Enter your e-mail"))],
        filters=[one_line],
    )
    name = StringField(
        lazy_gettext("Your name"),
        [DataRequired(lazy_gettext("Enter your name")), _NAME],
        filters=[one_line],
    )

    @property
    def knows_address(self) -> bool:
        """True when the giver says where it goes."""
        return bool(self.where.data == KNOWN)

    @property
    def is_quiet(self) -> bool:
        """True when we write nothing to who gets it."""
        return bool(self.tell.data == BY_GIVER)

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
        email = "" if self.is_quiet else normalise_email(self.to_email.data or "")
        name, message = self.to_name.data or "", mask_card_numbers(self.message.data or "")
        address = as_asked(runtime(), self.address()) | {"name": name} if self.knows_address else {}
        return GiftWish(
            name, email, self.country.data, message, day, address, is_quiet=self.is_quiet
        )


@bp.get("/checkout/<key>/gift")
def gift(key: str) -> Response:
    """Ask who gets the box."""
    rt = runtime()
    order = load(rt, key, "delivery")
    form = gift_form(order, unsaved.kept(key))
    form.agree.data = order.gift is not None and bool(order.checkout.avoids)
    if order.is_blocked or lacks_for_carrier(order):
        # Blocked or asked for since the address was typed: say so where it is to be changed.
        _refuse(form)
    return gift_page(order, form)


@bp.post("/checkout/<key>/gift")
def save_gift(key: str) -> Response:
    """Make the order a gift; a signed-in customer gives under their own e-mail."""
    rt = runtime()
    order = load(rt, key, "delivery")
    given: Any = request.form.copy()
    customer = current_customer()
    if customer is not None:
        given["email"] = customer.email
    form = gift_form(order, given)
    unsaved.keep(key)
    if is_turning():
        return gift_page(order, form)
    avoided = _check(order, form)
    if avoided is None:
        return gift_page(order, form, 422)
    email = normalise_email(form.email.data or "")
    change_gift(rt, key, email, form.name.data or "", form.wish(), avoided)
    after = load(rt, key)
    if after.quote is None:
        # No round is planned that a box of that day could join.
        form.send_on.errors = [_("No box can be promised for that day. Choose an earlier one")]
        return gift_page(after, form, 422)
    unsaved.forget()
    return go(url_for("checkout.pay", key=key), moved(order, after), is_problem=True)


def _check(order: Order, form: GiftForm) -> list[str] | None:
    """Return what is not tolerated; None, with messages, where something is wrong."""
    if why_not_givable(order) or not form.validate() or _refuse(form):
        return None
    if not form.knows_address:
        # Who says where it goes says so too what they do not tolerate.
        return []
    avoided = allergies.check(runtime(), order, form)
    return avoided if tax_fields.check(runtime(), order, form) else None


def _refuse(form: GiftForm) -> bool:
    """Put what is against where it goes beside its fields; of a country alone that it is served."""
    rt = runtime()
    return refuse(rt, form) if form.knows_address else refuse_blocked(rt, form, is_whole=False)


def gift_form(order: Order, given: Any = None) -> GiftForm:
    """Return the form of a gift, filled with what was typed or is kept."""
    rt, wish = runtime(), order.gift
    countries = countries_of(rt)
    known: dict[str, Any] = {
        "email": order.checkout.email,
        "name": order.checkout.address.get("name", ""),
        "country": wish.country if wish else countries[0][0],
        "send_on": wish.send_on if wish else rt.today(),
    }
    if wish is not None:
        address = {part: value for part, value in wish.address.items() if part != "name"}
        known |= {"to_name": wish.name, "to_email": wish.email, "message": wish.message, **address}
        known["where"] = KNOWN if address else ASK
        known["tell"] = BY_GIVER if wish.is_quiet else BY_MAIL
        known["agree"] = bool(order.checkout.avoids)
    form = GiftForm(given, data=known)
    form.country.choices = [SelectChoice(code, name) for code, name in countries]
    return form


def gift_values(order: Order, form: GiftForm) -> dict[str, Any]:
    """Return what the form of a gift needs."""
    rt = runtime()
    values: dict[str, Any] = {}
    if order.gift is None:
        # What follows the first payment of a box of one's own is not what a gift promises.
        boxes = [replace(box, then=[]) for box in shown(order, "delivery")["boxes"]]
        values = {"boxes": boxes, "may_add": False}
    return {
        "form": form,
        "countries": countries_of(rt),
        "refused": why_not_givable(order),
        "most": MESSAGE_MOST,
        "typed_as": "gift",
        **tax_fields.asked(rt, form, True),
        **allergies.asked(rt, order),
        **values,
    }


def gift_page(order: Order, form: GiftForm, status: int = 200) -> Response:
    return show(
        f"{_FOLDER}/gift.html",
        f"{_FOLDER}/_gift_form.html",
        status,
        page_has_errors=status != 200,
        **(shown(order, "delivery") | gift_values(order, form)),
    )
