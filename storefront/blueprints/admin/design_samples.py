"""What the design page draws beside plain parts: an address, boxes, a parcel, sign-ins, a paper."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace as Sample
from typing import Any

from flask_wtf import FlaskForm
from wtforms import SelectChoice, SelectField, StringField

from storefront.blueprints.address_parts import PostalParts, RegionField
from storefront.blueprints.browsers import browser
from storefront.domain.money import Money

_NOON = datetime(2027, 4, 11, 12, 0, tzinfo=UTC)


class SampleAddress(PostalParts, FlaskForm):
    """The fields of ``components/address.html``; it is never sent anywhere."""

    asks_as_typed = False

    name = StringField("Full name")
    country = SelectField("Country", choices=[SelectChoice("DE", "Germany")], default="DE")
    street = StringField("Street and number")
    postcode = StringField("Postcode")
    city = StringField("Town")
    region = RegionField("State")
    company = StringField("Company")
    extra = StringField("Flat, floor")
    phone = StringField("Phone")


def _eur(minor: int) -> Money:
    return Money(minor, "EUR")


def samples() -> dict[str, Any]:
    """Return the values of ``admin/_design_samples.html``; the same on every day."""
    return {
        "address": SampleAddress(formdata=None, prefix="to-"),
        "asked": Sample(asks_region=True, region_needed=True, taxes_by_region=True, phone="may"),
        "effect": Sample(
            first_box_on=date(2027, 5, 18),
            next_box="box_sample",
            next_box_on=date(2027, 5, 18),
            closed_box_on=date(2027, 4, 18),
            closed_on=date(2027, 4, 11),
            packed_box_on=None,
            own_days=[date(2027, 6, 18)],
            own_is_unpaid=True,
        ),
        "costs": [
            Sample(
                plan="Pot, monthly",
                on=date(2027, 5, 12),
                now=Sample(delivery=_eur(0), tax=_eur(170), total=_eur(2600)),
                then=Sample(delivery=_eur(290), tax=_eur(482), total=_eur(2890)),
            )
        ],
        "cycles": [
            Sample(key="2027-04", ship_from=date(2027, 4, 18), shipped_on=date(2027, 4, 18)),
            Sample(key="2027-04-18", ship_from=date(2027, 4, 18), shipped_on=date(2027, 4, 18)),
        ],
        "lacking": [
            Sample(name="Kukicha", ran_out=True, instead="Assam", credit=None),
            Sample(name="Oat biscuits", ran_out=True, instead="", credit=_eur(450)),
            Sample(name="Quince jelly", ran_out=True, instead="", credit=None),
            Sample(name="Earl Grey", ran_out=False, instead="Rooibos", credit=None),
            Sample(name="Syrup", ran_out=False, instead="", credit=_eur(300)),
            Sample(name="Cup", ran_out=False, instead="", credit=None),
        ],
        "coming_without": [("Kukicha", "Assam"), ("Oat biscuits", "")],
        "rules": [None, Sample(policy="drop"), Sample(policy="instead", name="Assam")],
        "wish": Sample(then=[("Kukicha", 2), ("Assam", 1)]),
        "browser": browser,
        "signed_in": [
            Sample(
                user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                is_this_one=is_this,
                began_at=_NOON - timedelta(days=9),
                seen_at=_NOON,
                ip="192.0.2.1",
                reference=f"sample-{is_this}",
            )
            for is_this in (True, False)
        ],
        "paper_sheet": _sheet(),
        "paid": [
            Sample(kind=kind, brand=brand, last4=last4, way="", at=_NOON, amount=_eur(minor))
            for kind, brand, last4, minor in (
                ("payment", "visa", "4242", 2600),
                ("refund", "visa", "4242", -450),
                ("payment", "", "", 900),
            )
        ],
    }


def _sheet() -> Sample:
    return Sample(
        seller=["Nine Kettles GmbH", "Teeweg 9", "10115 Berlin"],
        recipient=["Ada Lovelace", "Lindenweg 4", "07743 Jena"],
        facts=[("Invoice", "R-2027-000417"), ("Date", "12 April 2027")],
        headings=["What", "Tax", "Amount"],
        lines=[
            Sample(is_head=True, text="Box of April", notes=[], cells=["", "€26.00"]),
            Sample(is_head=False, text="Pot", notes=["12 April to 11 May"], cells=["7%", "€26.00"]),
        ],
        sums=[("7% VAT in it", "€1.70", False), ("Total", "€26.00", True)],
        notes=[["Paid with Visa ending 4242.", "Thank you."]],
        footer=["Nine Kettles GmbH, HRB 12345"],
    )
