"""Pirate Ship, upload of a spreadsheet: any columns are mapped, so the headings are our words.

Its rubber stamps hold 4 lines of 25 characters for USPS and are left out: a plan may have a longer
name, and then no box of it would fit.
"""

from storefront.domain.carriers.layout import Column, Layout, Preset

UPLOAD = Preset(
    Layout(
        "pirate_ship",
        "Pirate Ship",
        (
            Column("Order ID", "box"),
            Column("Name", "name", is_required=True),
            Column("Company", "company"),
            Column("Address 1", "street", is_required=True),
            Column("Address 2", "extra"),
            Column("City", "city", is_required=True),
            Column("State", "region"),
            Column("Zip", "postcode"),
            Column("Country", "country", is_required=True),
            Column("Phone", "phone_digits"),
            Column("Email", "email"),
            Column("Weight (oz)", "weight_oz"),
        ),
    ),
    source="support.pirateship.com 1804193",
    confidence="documented",
    remark="mapped",
)
