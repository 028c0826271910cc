"""What an address is asked, and refusing one that nothing is sent to, beside its part to blame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _

from storefront.blueprints.address_parts import region_missing
from storefront.database import reading
from storefront.domain.postal import WITH_REGION, PhoneWish, is_phone, missing_for_carrier
from storefront.domain.shipping import blocked_part
from storefront.operations.shipping import read_zones
from storefront.runtime import Runtime


def asked_of_address(
    rt: Runtime, countries: Sequence[str], *, ships: bool = True
) -> dict[str, Any]:
    """Return what the fields of an address in one of ``countries`` are to ask, for the template.

    Where nothing ``ships`` no carrier needs anything.
    """
    for_tax = [rt.shop.taxes.asks_region(country) for country in countries]
    carried = [ships and code in WITH_REGION for code in countries]
    regions = [taxed or sent for taxed, sent in zip(for_tax, carried, strict=True)]
    return {
        "asks_region": any(regions),
        "region_needed": all(regions),
        "taxes_by_region": any(for_tax),
        "phone": rt.shop.phone if ships else PhoneWish.NO.value,
    }


def as_asked(rt: Runtime, address: Mapping[str, str], *, ships: bool = True) -> dict[str, str]:
    """Return an address without the region of a country that was chosen before."""
    asked = asked_of_address(rt, [address["country"]], ships=ships)
    return dict(address) if asked["asks_region"] else {**address, "region": ""}


def lacks(rt: Runtime, address: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what an address that is known already lacks for the carrier: region, phone."""
    country, region, phone = (str(address.get(name) or "") for name in _FOR_CARRIER)
    return missing_for_carrier(country, region, phone, rt.shop.phone)


_FOR_CARRIER = ("country", "region", "phone")


def refuse(rt: Runtime, form: Any) -> bool:
    """Put what is against the address beside its fields; False where boxes are sent there."""
    is_wrong = refuse_blocked(rt, form)
    lacking = lacks(rt, {name: form[name].data for name in _FOR_CARRIER})
    if "region" in lacking:
        form.region.errors = [region_missing(form.place_country)]
    if "phone" in lacking:
        form.phone.errors = [_("Enter a phone number; the carrier needs it")]
    elif form.phone.data and not is_phone(form.phone.data):
        form.phone.errors = [_("Enter a phone number like +49 30 123456")]
        is_wrong = True
    return is_wrong or bool(lacking)


def refuse_blocked(rt: Runtime, form: Any, *, is_whole: bool = True) -> bool:
    """Put the error at ``form.country`` or ``form.postcode``; False where boxes are sent there.

    Without ``is_whole`` only the country is known yet.
    Source: docs/decisions/0147-shipping-zones.md.
    """
    # No lock of a write is held while a VAT number may be asked about.
    with reading():
        zones = read_zones(rt.session)
    rt.session.rollback()
    postcode = form.postcode.data if is_whole else ""
    part = blocked_part(zones, form.country.data or "", postcode or "")
    if part == "country":
        form.country.errors = [_("We do not deliver there yet. Choose another country")]
    elif part:
        words = _(
            "We do not deliver to this postcode. Enter another address, like that of a friend"
        )
        form.postcode.errors = [words]
    return bool(part)
