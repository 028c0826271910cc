"""Shippo, orders as CSV. Which columns are needed is our reading: an address needs them."""

from storefront.domain.carriers.layout import Column, Layout, Preset

ORDERS = Preset(
    Layout(
        "shippo",
        "Shippo",
        (
            Column("Order Number", "box"),
            Column("Order Date", "date_iso"),
            Column("Recipient Name", "name", is_required=True),
            Column("Company", "company"),
            Column("Email", "email"),
            Column("Phone", "phone_digits"),
            Column("Street Line 1", "street", is_required=True),
            Column("Street Number"),
            Column("Street Line 2", "extra"),
            Column("City", "city", is_required=True),
            Column("State/Province", "region"),
            Column("Zip/Postal Code", "postcode", is_required=True),
            Column("Country", "country", is_required=True),
            Column("Item Title", "product"),
            Column("SKU", "sku"),
            Column("Quantity", "pieces_of_sku"),
            Column("Item Weight"),
            Column("Item Weight Unit"),
            Column("Item Price"),
            Column("Item Currency"),
            Column("Order Weight", "weight_grams"),
            Column("Order Weight Unit", text="g"),
            Column("Order Amount"),
            Column("Order Currency"),
        ),
        per_item=True,
    ),
    source="a public repository that fills Shippo's order files",
    confidence="seen",
)
