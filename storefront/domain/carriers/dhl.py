"""DHL Online Frankierung (Germany), CSV import: Windows' characters, 100 records at a time.

All names in this order. The sender and the product are typed by the merchant; the sender is
needed in the first line only and does no harm in the others. That an address needs its columns
is our reading. Countries have three letters in public code that fills such files.
"""

from storefront.domain.carriers.layout import Column, Layout, Preset

ONLINE_FRANKIERUNG = Preset(
    Layout(
        "dhl_de",
        "DHL Online Frankierung",
        (
            Column("SEND_NAME1"),
            Column("SEND_NAME2"),
            Column("SEND_STREET"),
            Column("SEND_HOUSENUMBER"),
            Column("SEND_PLZ"),
            Column("SEND_CITY"),
            Column("SEND_COUNTRY"),
            Column("RECV_NAME1", "name", is_required=True),
            Column("RECV_NAME2", "company"),
            Column("RECV_STREET", "street_name", is_required=True),
            Column("RECV_HOUSENUMBER", "house_number", is_required=True),
            Column("RECV_PLZ", "postcode", is_required=True),
            Column("RECV_CITY", "city", is_required=True),
            Column("RECV_COUNTRY", "country_3", is_required=True),
            Column("PRODUCT"),
            Column("COUPON"),
        ),
        delimiter=";",
        encoding="cp1252",
        most_rows=100,
    ),
    source="DHL, Format der CSV-Importdatei",
    confidence="documented",
    typed=(
        "SEND_NAME1",
        "SEND_STREET",
        "SEND_HOUSENUMBER",
        "SEND_PLZ",
        "SEND_CITY",
        "SEND_COUNTRY",
        "PRODUCT",
    ),
)
