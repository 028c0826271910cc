"""The shop that tests find set up: settings, and nothing to sell."""

import sqlalchemy as sa

from storefront.models.settings import ShopSettings


def set_up_shop(engine: sa.Engine) -> None:
    """Write the shop settings of *Nine Kettles*, in Berlin and in euros."""
    values = {
        "id": 1,
        "name": "Nine Kettles",
        "support_email": "hello@ninekettles.example",
        "seller_name": "Nine Kettles GmbH",
        "seller_address": "Teeweg 9\n10115 Berlin",
        "seller_tax_id": "DE136695976",
        "seller_country": "DE",
        "zone": "Europe/Berlin",
        "currency": "EUR",
        "locale": "en",
        "countries": ["DE", "AT", "FR"],
    }
    with engine.begin() as connection:
        connection.execute(sa.insert(ShopSettings), values)
