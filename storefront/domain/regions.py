"""Regions that addresses name, and that are taxed, by code and by the names people type."""

from __future__ import annotations

import re

_US = """
    AL Alabama, AK Alaska, AZ Arizona, AR Arkansas, CA California, CO Colorado, CT Connecticut,
    DE Delaware, DC District of Columbia, FL Florida, GA Georgia, HI Hawaii, ID Idaho,
    IL Illinois, IN Indiana, IA Iowa, KS Kansas, KY Kentucky, LA Louisiana, ME Maine,
    MD Maryland, MA Massachusetts, MI Michigan, MN Minnesota, MS Mississippi, MO Missouri,
    MT Montana, NE Nebraska, NV Nevada, NH New Hampshire, NJ New Jersey, NM New Mexico,
    NY New York, NC North Carolina, ND North Dakota, OH Ohio, OK Oklahoma, OR Oregon,
    PA Pennsylvania, RI Rhode Island, SC South Carolina, SD South Dakota, TN Tennessee,
    TX Texas, UT Utah, VT Vermont, VA Virginia, WA Washington, WV West Virginia,
    WI Wisconsin, WY Wyoming
"""


_CA = """
    AB Alberta, BC British Columbia, MB Manitoba, NB New Brunswick, NL Newfoundland and Labrador,
    NS Nova Scotia, NT Northwest Territories, NU Nunavut, ON Ontario, PE Prince Edward Island,
    QC Quebec, SK Saskatchewan, YT Yukon
"""
_AU = """
    ACT Australian Capital Territory, NSW New South Wales, NT Northern Territory, QLD Queensland,
    SA South Australia, TAS Tasmania, VIC Victoria, WA Western Australia
"""
_BR = """
    AC Acre, AL Alagoas, AP Amapá, AM Amazonas, BA Bahia, CE Ceará, DF Distrito Federal,
    ES Espírito Santo, GO Goiás, MA Maranhão, MT Mato Grosso, MS Mato Grosso do Sul,
    MG Minas Gerais, PA Pará, PB Paraíba, PR Paraná, PE Pernambuco, PI Piauí, RJ Rio de Janeiro,
    RN Rio Grande do Norte, RS Rio Grande do Sul, RO Rondônia, RR Roraima, SC Santa Catarina,
    SP São Paulo, SE Sergipe, TO Tocantins
"""
#: Of countries whose post writes the name itself.
_JP = """
    Hokkaido, Aomori, Iwate, Miyagi, Akita, Yamagata, Fukushima, Ibaraki, Tochigi, Gunma, Saitama,
    Chiba, Tokyo, Kanagawa, Niigata, Toyama, Ishikawa, Fukui, Yamanashi, Nagano, Gifu, Shizuoka,
    Aichi, Mie, Shiga, Kyoto, Osaka, Hyogo, Nara, Wakayama, Tottori, Shimane, Okayama, Hiroshima,
    Yamaguchi, Tokushima, Kagawa, Ehime, Kochi, Fukuoka, Saga, Nagasaki, Kumamoto, Oita, Miyazaki,
    Kagoshima, Okinawa
"""
_MX = """
    Aguascalientes, Baja California, Baja California Sur, Campeche, Chiapas, Chihuahua,
    Ciudad de México, Coahuila, Colima, Durango, Estado de México, Guanajuato, Guerrero, Hidalgo,
    Jalisco, Michoacán, Morelos, Nayarit, Nuevo León, Oaxaca, Puebla, Querétaro, Quintana Roo,
    San Luis Potosí, Sinaloa, Sonora, Tabasco, Tamaulipas, Tlaxcala, Veracruz, Yucatán, Zacatecas
"""
_IN = """
    Andaman and Nicobar Islands, Andhra Pradesh, Arunachal Pradesh, Assam, Bihar, Chandigarh,
    Chhattisgarh, Dadra and Nagar Haveli and Daman and Diu, Delhi, Goa, Gujarat, Haryana,
    Himachal Pradesh, Jammu and Kashmir, Jharkhand, Karnataka, Kerala, Ladakh, Lakshadweep,
    Madhya Pradesh, Maharashtra, Manipur, Meghalaya, Mizoram, Nagaland, Odisha, Puducherry, Punjab,
    Rajasthan, Sikkim, Tamil Nadu, Telangana, Tripura, Uttar Pradesh, Uttarakhand, West Bengal
"""


def _entries(text: str) -> list[str]:
    return [" ".join(entry.split()) for entry in text.split(",")]


def _coded(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (entry.partition(" ") for entry in _entries(text))
    return tuple((code, name) for code, _space, name in pairs)


def _plain(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in _entries(text))


_CODED = {"AU": _coded(_AU), "BR": _coded(_BR), "CA": _coded(_CA), "US": _coded(_US)}
#: Country -> (what the post writes, name) of every region that an address there can name.
#: Sources: ISO 3166-2 (lists of subdivisions) and the sheets named in ``domain.addresses``.
_LISTED = _CODED | {"IN": _plain(_IN), "JP": _plain(_JP), "MX": _plain(_MX)}
#: Country -> name in upper case -> code.
_NAMES: dict[str, dict[str, str]] = {
    country: {name.upper(): code for code, name in pairs} for country, pairs in _CODED.items()
}


def regions_of(country: str) -> tuple[tuple[str, str], ...]:
    """Return (what the post writes, name) of the regions of ``country``; none: no list is kept.

    >>> regions_of("AU")[0], regions_of("JP")[0], regions_of("DE")
    (('ACT', 'Australian Capital Territory'), ('Hokkaido', 'Hokkaido'), ())
    """
    return _LISTED.get(country, ())


def region_value(country: str, typed: str) -> str:
    """Return the region of a list that was typed by code or name, else ``typed`` itself.

    >>> region_value("US", "california"), region_value("JP", "TOKYO"), region_value("CN", "Hebei")
    ('CA', 'Tokyo', 'Hebei')
    """
    wanted = " ".join(re.sub(r"[^\w ]", "", typed).split()).casefold()
    for value, name in regions_of(country):
        if wanted in (value.casefold(), name.casefold()):
            return value
    return typed


def region_name(country: str, code: str) -> str:
    """Return what a region is called, its code where it has no name here.

    >>> region_name("US", "NY"), region_name("DE", "TH")
    ('New York', 'TH')
    """
    return dict(regions_of(country)).get(code, code)


def region_code(country: str, typed: str) -> str:
    """Return the code of a region by code or name, else what was typed, in upper case.

    >>> region_code("US", "california"), region_code("US", " n.y. "), region_code("DE", "Bayern")
    ('CA', 'NY', 'BAYERN')
    """
    text = " ".join(re.sub(r"[^\w ]", "", typed).split()).upper()
    return _NAMES.get(country, {}).get(text, text)
