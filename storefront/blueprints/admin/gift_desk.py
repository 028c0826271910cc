"""A gift that nobody has claimed: its link once more, and the address on its recipient's behalf."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import EmailField, ValidationError

from storefront.blueprints.account.forms import AddressForm
from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.places import asked_of_address, refuse
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.privacy import NotAnEmail, normalise_email
from storefront.htmx import go
from storefront.queries.gifts import GiftView, by_id, people_of
from storefront.security import register_policy, staff
from storefront.services import gift_desk as desk
from storefront.templating import writing_locale

_ACT = staff(permissions.SUBSCRIPTIONS_MANAGE)
register_policy(
    {
        "admin.gift": staff(permissions.SUBSCRIBERS_VIEW),
        "admin.gift_address": _ACT,
        "admin.gift_link": _ACT,
    }
)


class LinkForm(Form):
    """Where the link of a gift is mailed to."""

    email = EmailField(lazy_gettext("E-mail of the recipient"), filters=[one_line])

    def validate_email(self, field: EmailField) -> None:
        try:
            field.data = normalise_email(field.data or "")
        except NotAnEmail as error:
            raise ValidationError(_("Enter an e-mail like name@example.com")) from error


def add_gift_desk(bp: Blueprint) -> None:
    """Add the page of a gift and its two forms."""
    bp.add_url_rule("/gifts/<gift>", "gift", show)
    bp.add_url_rule("/gifts/<gift>/address", "gift_address", enter, methods=["POST"])
    bp.add_url_rule("/gifts/<gift>/link", "gift_link", send, methods=["POST"])


def show(gift: str) -> Response:
    """Show who gives what to whom, and where it goes."""
    return _page(_gift(gift))


def enter(gift: str) -> Response:
    """Send the gift where its giver says; the country stays the one that was paid for."""
    view, rt = _gift(gift), runtime()
    given = request.form.copy()
    given["country"] = view.country
    form = _address_form(view, given)
    if not form.validate() or refuse(rt, form):
        return _page(view, address=form)
    parts = {name: form[name].data or "" for name in desk.PostalAddress.__dataclass_fields__}
    typed = desk.PostalAddress(**parts)
    if asked_of_address(rt, [view.country])["phone"] == "no":
        typed = replace(typed, phone=view.goes_to.get("phone", ""))
    try:
        done = desk.enter_address(rt, who(), gift, typed)
    except desk.GiftNotFound:
        abort(404)
    except desk.AlreadyClaimed:
        return go(_url(gift), _("Somebody has claimed it meanwhile, so the address is theirs."))
    except desk.TooLate:
        form.street.errors = [_("Every box of it is being packed or has left")]
        return _page(view, address=form)
    except (desk.NotServed, desk.OtherCountry):
        form.postcode.errors = [_("Nothing is sent there. Enter another address")]
        return _page(view, address=form)
    text = _("Saved. Boxes whose cut-off is not over go there.") if done else _("It goes there.")
    return go(_url(gift), text)


def send(gift: str) -> Response:
    """Mail the link to the recipient again, to another e-mail where the first was wrong."""
    view, form = _gift(gift), LinkForm(request.form)
    if not form.validate():
        return _page(view, link=form)
    try:
        desk.send_link(runtime(), who(), gift, form.email.data or "")
    except desk.GiftNotFound:
        abort(404)
    except desk.AlreadyClaimed:
        return go(_url(gift), _("Somebody has claimed it meanwhile, so the address is theirs."))
    except desk.NotMailed:
        form.email.errors = [_("Its recipient is not to hear of it now")]
        return _page(view, link=form)
    return go(_url(gift), _("The link is on its way to %(email)s.", email=form.email.data))


def _url(gift: str) -> str:
    return url_for("admin.gift", gift=gift)


def _gift(gift: str) -> GiftView:
    session = runtime().session
    found = by_id(session, gift)
    session.rollback()
    if found is None:
        abort(404)
    return found


def _address_form(view: GiftView, typed: object = None) -> AddressForm:
    known = {"name": view.name, **view.goes_to, "country": view.country}
    return AddressForm(typed, **known).offer([view.country], writing_locale())


def _page(
    view: GiftView, *, address: AddressForm | None = None, link: LinkForm | None = None
) -> Response:
    rt = runtime()
    people = people_of(rt.session, view.public_id)
    rt.session.rollback()
    return page(
        "gifts/gift",
        422 if address or link else 200,
        gift=view,
        people=people,
        form=address or _address_form(view),
        link=link or LinkForm(None, email=view.email),
        failed=address or link,
        asked=asked_of_address(rt, [view.country]),
    )
