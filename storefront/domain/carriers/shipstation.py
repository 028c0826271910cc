"""ShipStation, import of orders as CSV: the documented fields, and an older sample file.

Rows with one order number become one order. The headings are mapped by the user when the file
is imported; those of the address are our words, as no limits of theirs are documented.
"""

from storefront.domain.carriers.layout import Column, Layout, Preset

ORDERS = Preset(
    Layout(
        "shipstation",
        "ShipStation",
        (
            Column("Order #", "box", most=50, is_required=True),
            Column("Order Date", "date_us_time", most=19),
            Column("Recipient Name", "name", is_required=True),
            Column("Company", "company"),
            Column("Address Line 1", "street", is_required=True),
            Column("Address Line 2", "extra"),
            Column("City", "city", is_required=True),
            Column("State", "region"),
            Column("Postal Code", "postcode"),
            Column("Country Code", "country", is_required=True),
            Column("Phone", "phone_digits"),
            Column("Email", "email"),
            Column("Internal Notes", "note", most=1000),
            Column("Gift Message", "gift_message", most=1000),
            Column("Custom Field 1", "plan", most=100),
            Column("SKU", "sku", most=50),
            Column("Name", "product", most=200),
            Column("Quantity", "pieces_of_sku"),
            # The unit is chosen when the columns are mapped; ounces are what it begins with.
            Column("Unit Weight", "ounces_of_sku"),
            Column("HS Tariff", "hs_code", most=30),
        ),
        per_item=True,
    ),
    source="help.shipstation.com 360036323571, 6841661248411",
    confidence="documented",
    remark="mapped",
)

SAMPLE = Preset(
    Layout(
        "shipstation_sample",
        "ShipStation (older sample file)",
        (
            Column("Order ID (required)", "box", is_required=True),
            Column("Order Date", "date_iso"),
            Column("Order Value"),
            Column("Requested Service"),
            Column("Ship To - Name", "name"),
            Column("Ship To - Company", "company"),
            Column("Ship To - Address 1", "street"),
            Column("Ship To - Address 2", "extra"),
            Column("Ship To - Address 3"),
            Column("Ship To - State/Province", "region"),
            Column("Ship To - City", "city"),
            Column("Ship To - Postal Code", "postcode"),
            Column("Ship To - Country", "country"),
            Column("Ship To - Phone", "phone_digits"),
            Column("Ship To - Email", "email"),
            Column("Total Weight in Oz", "weight_oz"),
            Column("Dimensions - Length"),
            Column("Dimensions - Width"),
            Column("Dimensions - Height"),
            Column("Notes - From Customer"),
            Column("Notes - Internal", "contents"),
            Column("Gift Wrap?"),
            Column("Gift Message", "gift_message"),
        ),
    ),
    source="two public repositories that export to it",
    confidence="seen",
)
