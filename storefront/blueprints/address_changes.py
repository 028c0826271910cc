"""A new address as its owner and staff type it: for one subscription or all, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from flask_babel import gettext as _

from storefront.blueprints.account.forms import AddressForm
from storefront.blueprints.places import asked_of_address, refuse
from storefront.database import reading
from storefront.domain.events import Actor
from storefront.domain.postal import PhoneWish
from storefront.domain.rates import NoRate
from storefront.operations.audit import Who
from storefront.queries import profile
from storefront.queries.address_costs import AddressCost, address_costs, shown_hash
from storefront.queries.profile import AddressView
from storefront.runtime import Runtime
from storefront.services.addresses import AddressChange, change_addresses
from storefront.services.box_addresses import (
    NotFound,
    OtherCountry,
    OtherTax,
    PostalAddress,
    TooLate,
    change_box_address,
    send_box,
)
from storefront.templating import writing_locale

#: Value of ``for`` in the form: every running subscription, not the one alone.
ALL = "all"
#: Field with the box alone that was asked for and cannot be changed: another is to be chosen.
CHOOSE = "choose"
#: How the values of ``for`` begin that name one box, by its cycle or itself.
_OF_ONE = ("cyc_", "box_")


@dataclass(frozen=True, slots=True)
class Asked:
    """A form that is not taken yet: ``costs`` of what is to be confirmed, none for an error."""

    costs: tuple[AddressCost, ...] = ()

    @property
    def status(self) -> int:
        return 200 if self.costs else 422


def asked_box() -> str:
    """Return which box alone is to go elsewhere, or empty."""
    reach = request.form.get("for", "") or request.args.get("for", "")
    return reach if reach.startswith(_OF_ONE) else ""


def address_form(rt: Runtime, present: AddressView) -> AddressForm:
    """Return the form, filled with what was typed or with the present address."""
    parts = {name: getattr(present, name) for name in PostalAddress.__dataclass_fields__}
    return AddressForm(request.form, **parts).offer(rt.shop.countries, writing_locale())


def take(
    rt: Runtime,
    customer_id: int,
    present: AddressView,
    form: AddressForm,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> Asked | list[AddressChange]:
    """Change the address as typed; or say what is wrong, or what it costs from when on.

    What changes a payment is done only once the very amounts were shown.
    """
    if request.form.get(CHOOSE) and not request.form.get("for"):
        form.validate()
        return Asked()
    if not form.validate() or (present.ships and refuse(rt, form)):
        return Asked()
    parts = _typed(rt, present, form)
    if asked_box():
        return _one_box(rt, customer_id, present, form, PostalAddress(**parts), actor, who)
    wanted = _wanted(rt, customer_id, present)
    try:
        costs = _costs(rt, customer_id, wanted, parts)
        if costs and request.form.get("shown") != shown_hash(costs):
            return Asked(costs)
        return change_addresses(rt, customer_id, wanted, PostalAddress(**parts), actor, who)
    except OtherCountry:
        form.country.errors = [_("A gift stays in the country it was paid for")]
        return Asked()
    except NoRate:
        rt.session.rollback()
        form.country.errors = [_("We cannot charge tax there yet. Choose another place")]
        return Asked()


def _typed(rt: Runtime, present: AddressView, form: AddressForm) -> dict[str, str]:
    """Return the address as typed; what the page does not ask stays as it is."""
    parts = {name: form[name].data or "" for name in PostalAddress.__dataclass_fields__}
    asked = asked_of_address(rt, [form.place_country], ships=present.ships)
    if asked["phone"] == PhoneWish.NO:
        parts["phone"] = present.phone
    if not asked["asks_region"]:
        parts["region"] = present.region if parts["country"] == present.country else ""
    return parts


def _one_box(
    rt: Runtime,
    customer_id: int,
    present: AddressView,
    form: AddressForm,
    typed: PostalAddress,
    actor: Actor,
    who: Who | None,
) -> Asked | list[AddressChange]:
    """Send one box elsewhere; it costs nothing on top, so no amount is to be shown first."""
    box = asked_box()
    try:
        if box.startswith("box_"):
            changed = change_box_address(rt, customer_id, box, typed, actor, who)
        else:
            changed = send_box(rt, customer_id, present.subscription, box, typed, actor, who)
        return [AddressChange(None, None, changed=changed)]
    except OtherCountry:
        words = _("One box alone stays in its country. To send all there, choose the subscription")
        form.country.errors = [words]
    except OtherTax:
        words = _("Tax is another there. To send all there, choose the subscription")
        form.postcode.errors = [words]
    except (TooLate, NotFound):
        # The page says so beside the choice of boxes, and ticks none of the others by itself.
        rt.session.rollback()
    return Asked()


def shown(
    rt: Runtime, customer_id: int, present: AddressView, asked: Asked | None
) -> dict[str, Any]:
    """Return what the page shows beside form and fields."""
    others = [one for one in _addresses(rt, customer_id) if one != present.subscription]
    costs = asked.costs if asked is not None else ()
    return {
        "others": len(others),
        "reach": request.form.get("for", "") or asked_box() or request.form.get(CHOOSE, ""),
        "costs": costs,
        "shown": shown_hash(costs) if costs else "",
        "tax_is_asked": rt.hooks.has("quote_tax"),
    }


def first_effect(found: Sequence[AddressChange]) -> AddressChange:
    """Return the change to tell of: the one whose box leaves first, of those that changed."""
    changed = [one for one in found if one.changed] or list(found)
    dated = [one for one in changed if one.first_box_on is not None]
    return min(dated, key=lambda one: str(one.first_box_on)) if dated else changed[0]


def _wanted(rt: Runtime, customer_id: int, present: AddressView) -> list[str]:
    if request.form.get("for") != ALL:
        return [present.subscription]
    return list(dict.fromkeys([present.subscription, *_addresses(rt, customer_id)]))


def _addresses(rt: Runtime, customer_id: int) -> list[str]:
    with reading():
        found = [one.subscription for one in profile.addresses(rt.session, customer_id)]
    rt.session.rollback()
    return found


def _costs(
    rt: Runtime, customer_id: int, wanted: Sequence[str], parts: Mapping[str, str]
) -> tuple[AddressCost, ...]:
    with reading():
        try:
            found = address_costs(
                rt.session, customer_id, wanted, parts, rt.moment(), rt.shop.taxes
            )
        except NoRate:
            # Where a provider is asked it may know a rate that the shop does not.
            if not rt.hooks.has("quote_tax"):
                raise
            found = ()
        finally:
            rt.session.rollback()
    return found
