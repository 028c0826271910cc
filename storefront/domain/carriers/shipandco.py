"""Ship&co (Japan), CSV. The maker's list holds more than is known here, the address among it."""

from storefront.domain.carriers.layout import Column, Layout, Preset

ORDERS = Preset(
    Layout(
        "shipandco",
        "Ship&co",
        (
            Column("OrderName", "box", is_required=True),
            Column("CurrencyCode", most=3, is_required=True),
            Column("RecipientProvince", "region"),
            Column("RecipientCountryCode", "country", most=2, is_required=True),
            Column("RecipientZIP", "postcode", is_required=True),
            Column("RecipientLastName", "name", most=35),
            Column("RecipientPhone", "phone_digits", most=10, is_required=True),
        ),
        per_item=True,
    ),
    source="support.shipandco.com 226141008",
    confidence="part",
    typed=("CurrencyCode",),
)
