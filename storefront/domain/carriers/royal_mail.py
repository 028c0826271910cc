"""Royal Mail Click & Drop, spreadsheet import.

The user maps columns; these are the documented names of the fields. Names may hold standard
Roman characters only, which we take to be those of Latin 1. The name stands in one column, so
the option that joins first and last name has to be set there.
"""

from storefront.domain.carriers.layout import Column, Layout, Preset

CLICK_AND_DROP = Preset(
    Layout(
        "royal_mail",
        "Royal Mail Click & Drop",
        (
            Column("Order reference", "box", most=40),
            Column("Special instructions", "note", most=100),
            Column("Date", "date_dmy", most=8),
            Column("Weight", "weight_kg"),
            # Of what is declared for customs; empty inside the area.
            Column("Sub-total", "customs_total_value", most=6),
            Column("Total", "customs_total_value", most=6),
            Column("Currency Code", "customs_total_currency", most=20),
            Column("Full name", "name", most=200, is_required=True, rule="roman"),
            Column("Company Name", "company", most=100),
            Column("Address Line 1", "street", most=100, is_required=True),
            Column("Address Line 2", "extra", most=100),
            Column("City", "city", most=100, is_required=True),
            Column("County", "region", most=100),
            Column("Postcode", "postcode", most=20, is_required=True),
            Column("Country", "country_3", most=200),
            Column("Email", "email", most=100),
            Column("Phone", "phone_digits", most=25, rule="digits"),
        ),
    ),
    source="help.parcel.royalmail.com 360000250093",
    confidence="documented",
    remark="one_name",
)
