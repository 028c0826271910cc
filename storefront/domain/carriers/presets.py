"""All formats that come with the product, by code, in the order a page lists them."""

from collections.abc import Mapping

from storefront.domain.carriers import (
    dhl,
    dpd,
    generic,
    pirate_ship,
    royal_mail,
    shipandco,
    shippingeasy,
    shippo,
    shipstation,
    shipwire,
)
from storefront.domain.carriers.layout import Preset

PRESETS: Mapping[str, Preset] = {
    each.layout.code: each
    for each in (
        generic.GENERIC,
        generic.GENERIC_JSON,
        generic.GENERIC_XLSX,
        shipstation.ORDERS,
        shipstation.SAMPLE,
        shippo.ORDERS,
        pirate_ship.UPLOAD,
        royal_mail.CLICK_AND_DROP,
        dhl.ONLINE_FRANKIERUNG,
        dpd.SHIPPER_BE,
        shippingeasy.ORDERS,
        shipwire.ORDERS,
        shipandco.ORDERS,
    )
}
