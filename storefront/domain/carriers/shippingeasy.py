"""ShippingEasy, upload of orders as CSV. The maker's list goes on after the city."""

from storefront.domain.carriers.layout import Column, Layout, Preset

ORDERS = Preset(
    Layout(
        "shippingeasy",
        "ShippingEasy",
        (
            Column("Order Number", "box", is_required=True),
            Column("Order date & time", "date_mdy"),
            Column("Custom 1", "plan"),
            Column("Item name", "product", is_required=True),
            Column("Item SKU", "sku"),
            Column("Item Quantity", "pieces_of_sku"),
            Column("Full Name", "name", is_required=True),
            Column("Address Line 1", "street", is_required=True),
            Column("Address Line 2", "extra"),
            Column("City", "city", is_required=True),
        ),
        per_item=True,
    ),
    source="support.shippingeasy.com 203382759",
    confidence="part",
)
