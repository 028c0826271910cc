"""DPD Shipper (Belgium), import of shipments. The maker's list goes on after the state."""

from storefront.domain.carriers.layout import Column, Layout, Preset

SHIPPER_BE = Preset(
    Layout(
        "dpd_be",
        "DPD Shipper (Belgium)",
        (
            Column("id_address_sender", most=6),
            Column("delisid", most=10),
            Column("recipient type", text="C", most=1),
            Column("recipient_name", "name", most=35, is_required=True),
            Column("recipient_name2", "company", most=35),
            Column("recipient_street", "street", most=35, is_required=True),
            Column("recipient_house_no", most=8),
            Column("recipient_street2", "extra", most=35),
            Column("recipient_zip", "postcode", most=9, is_required=True),
            Column("recipient_city", "city", most=35, is_required=True),
            Column("recipient_state", "region", most=2),
        ),
        delimiter=";",
    ),
    source="doc.dpd.be 16",
    confidence="part",
)
