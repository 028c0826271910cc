"""Shipwire, order entry by spreadsheet: names in square brackets, a row for each product."""

from storefront.domain.carriers.layout import Column, Layout, Preset

ORDERS = Preset(
    Layout(
        "shipwire",
        "Shipwire",
        (
            Column("[order_no]", "box", is_required=True),
            Column("[ship_to_name]", "name", is_required=True),
            Column("[ship_to_address_1]", "street", is_required=True),
            Column("[ship_to_city]", "city", is_required=True),
            Column("[ship_to_state]", "region", is_required=True),
            Column("[ship_to_ZIP]", "postcode", is_required=True),
            Column("[ship_to_country]", "country", is_required=True),
            Column("[ship_to_phone]", "phone_digits", is_required=True),
            Column("[sku]", "sku", is_required=True),
            Column("[quantity]", "pieces_of_sku", is_required=True),
            Column("[order_date]", "date_iso"),
            Column("[ship_to_address_2]", "extra"),
            Column("[ship_to_email]", "email"),
            Column("[ship_to_company_name]", "company"),
        ),
        per_item=True,
    ),
    source="shipwire.com, purchase-order-spreadsheet-order-entry-csv",
    confidence="documented",
)
