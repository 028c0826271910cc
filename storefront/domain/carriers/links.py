"""Where carriers show a parcel: the address of the page, with ``{number}`` in it.

As the carriers' public pages take them; they are not part of any contract and change now and
then, so a merchant's own entry stands before them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

NUMBER = "{number}"
MOST_LINKS, MOST_NAME, MOST_ADDRESS = 40, 40, 300

#: Carrier as ``plain_name`` spells it -> address.
LINKS: Mapping[str, str] = {
    "dhl": "https://www.dhl.de/de/privatkunden/pakete-empfangen/verfolgen.html?piececode={number}",
    "dpd": "https://tracking.dpd.de/status/de_DE/parcel/{number}",
    "hermes": "https://www.myhermes.de/empfangen/sendungsverfolgung/sendungsinformation#{number}",
    "gls": "https://gls-group.com/DE/de/paketverfolgung?match={number}",
    "ups": "https://www.ups.com/track?tracknum={number}",
    "fedex": "https://www.fedex.com/fedextrack/?trknbr={number}",
    "usps": "https://tools.usps.com/go/TrackConfirmAction?tLabels={number}",
    "royalmail": "https://www.royalmail.com/track-your-item#/tracking-results/{number}",
    "colissimo": "https://www.laposte.fr/outils/suivre-vos-envois?code={number}",
    "laposte": "https://www.laposte.fr/outils/suivre-vos-envois?code={number}",
    "post": "https://www.post.at/sv/sendungsdetails?snr={number}",
    "oesterreichischepost": "https://www.post.at/sv/sendungsdetails?snr={number}",
    "swisspost": "https://service.post.ch/ekp-web/ui/entry/search/{number}",
}
_OTHER_NAMES = {
    "deutschepost": "dhl",
    "dhlpaket": "dhl",
    "dhlparcel": "dhl",
    "dpdgroup": "dpd",
    "unitedparcelservice": "ups",
    "österreichischepost": "oesterreichischepost",
    "royalmailgroup": "royalmail",
}


def plain_name(carrier: str) -> str:
    """Return a carrier's name without what people write differently.

    >>> plain_name("Royal Mail"), plain_name("D.H.L.")
    ('royalmail', 'dhl')
    """
    return re.sub(r"[\W_]+", "", carrier.casefold())


def tracking_link(carrier: str, number: str, own: Mapping[str, str]) -> str:
    """Return where a parcel can be followed, empty where that is not known.

    >>> tracking_link("UPS", "1Z 9", {})
    'https://www.ups.com/track?tracknum=1Z%209'
    >>> tracking_link("Bike", "7", {"Bike": "https://bike.example/{number}"})
    'https://bike.example/7'
    """
    name = plain_name(carrier)
    if not name or not number:
        return ""
    mine = {plain_name(each): address for each, address in own.items()}
    address = mine.get(name) or LINKS.get(name) or LINKS.get(_OTHER_NAMES.get(name, ""), "")
    return address.replace(NUMBER, quote(number, safe=""))


def is_link(address: str) -> bool:
    """Return whether a merchant's address can be used: https, and a place for the number."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and bool(parts.hostname)
        and NUMBER in address
        and len(address) <= MOST_ADDRESS
        and not re.search(r"[\s\"'<>]", address)
    )
