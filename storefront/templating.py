"""What every template can call: filters that know the reader, and a few functions."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from flask import Flask, current_app, g, has_request_context, render_template, request
from markupsafe import Markup

from storefront import formats, languages, navigation
from storefront.assets import static_url
from storefront.domain.address_lines import address_lines, place_lines
from storefront.domain.carriers.links import tracking_link
from storefront.domain.cycles import is_named_by_month, is_of_month
from storefront.domain.email_hints import likely_meant
from storefront.domain.order_law import names_vat
from storefront.drawn import draw_box, draw_product
from storefront.merchant_texts import said, said_list, said_piece
from storefront.opt_out import opted_out
from storefront.pills import pill_of
from storefront.rendering import reader_locale
from storefront.withdrawal_words import excluded_note, excluded_words

LANGUAGES = languages.LANGUAGES
THEMES = ("light", "dark")
#: Under this name of ``g`` stands the day on which a page is written.
_TODAY = "storefront_today"


def init_app(app: Flask) -> None:
    """Give ``app``'s templates our filters and functions."""
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals.update(GLOBALS)


def writing_locale() -> Locale:
    """Return the locale of this request's reader."""
    return formats.writing_locale_of(reader_locale())


def locale_code() -> str:
    """Return the language tag of this page, for ``lang``."""
    return formats.tag_of(reader_locale())


def theme_choice() -> str | None:
    """Return the visitor's own choice of light or dark, None for the system's."""
    theme = request.cookies.get("theme") if has_request_context() else None
    return theme if theme in THEMES else None


def shop_zone() -> ZoneInfo:
    """Return the shop's time zone, in which every date on a page is written."""
    zone = current_app.extensions["storefront"].shop.zone
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo(zone)


def parcel_link(carrier: str, number: str) -> str:
    """Return where a parcel can be followed, empty where that is not known."""
    return tracking_link(carrier, number, current_app.extensions["storefront"].shop.tracking_links)


def shop_today() -> date:
    """Return the shop's today, against which years are left out; a page has one."""
    if not has_request_context():
        return current_app.extensions["storefront"].today()
    kept: date | None = g.get(_TODAY)
    if kept is None:
        kept = current_app.extensions["storefront"].today()
        setattr(g, _TODAY, kept)
    return kept


def country_name(code: str) -> str:
    """Return what the reader calls the country with this ISO code; a code nobody knows stays."""
    return str(writing_locale().territories.get(code, code))


def slot(name: str, /, **ctx: Any) -> Markup:
    """Return what plugins have for the named place of a page."""
    hooks = current_app.extensions["storefront"].hooks
    pieces: Markup = hooks.slot(
        name,
        {"opted_out": opted_out(), **ctx},
        lambda piece: render_template(piece.template, **piece.values),
    )
    return pieces


def iso(value: date | datetime) -> str:
    """Return the machine's form of a date or a moment, for ``<time datetime>``."""
    # A browser reads no more than thousandths of a second, and no reader needs them.
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return value.isoformat()


def slug(text: str) -> str:
    """Return ``text`` as an id: lower case letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", str(text)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "x"


def control_attributes(given: Mapping[str, Any], described: str, errors: Sequence[str]) -> dict:
    """Return the attributes of a form control: those given, and the links to hint and error."""
    attributes = {key: value for key, value in given.items() if value is not None}
    if described:
        attributes["aria-describedby"] = described
    if errors:
        attributes["aria-invalid"] = "true"
    return attributes


def attributes(given: Mapping[str, Any]) -> Markup:
    """Return keyword arguments of a macro as attributes: ``hx_post="/x"`` is ``hx-post``.

    None and False leave the attribute out, True writes its bare name.
    """
    named = {key.rstrip("_").replace("_", "-"): value for key, value in given.items()}
    written = {k: k if v is True else v for k, v in named.items() if v is not False}
    return Markup("").join(
        Markup(' {}="{}"').format(name, value)
        for name, value in written.items()
        if value is not None
    )


def errors_of(form: Any) -> list[tuple[str, str]]:
    """Return (id of the control, message) of all errors of a form, in the form's order."""
    found = [("", str(error)) for error in getattr(form, "form_errors", ())]
    for field in form:
        found.extend(_field_errors(field))
    return found


def _field_errors(field: Any) -> Iterator[tuple[str, str]]:
    if hasattr(field, "form"):
        yield from errors_of(field.form)
    elif hasattr(field, "entries"):
        for entry in field.entries:
            yield from _field_errors(entry)
        yield from ((field.id, str(error)) for error in field.errors if isinstance(error, str))
    else:
        yield from ((first_control(field), str(error)) for error in field.errors)


def first_control(field: Any) -> str:
    """Return the id the focus goes to: of a group of choices the first one's."""
    in_group = field.type in {"RadioField", "SelectMultipleField"}
    is_list = field.widget.__class__.__name__ == "ListWidget"
    return f"{field.id}-0" if in_group and is_list else str(field.id)


def _in_locale(write: Callable[..., str]) -> Callable[..., str]:
    return lambda value: write(value, writing_locale())


def _in_year(write: Callable[..., str]) -> Callable[..., str]:
    return lambda value: write(value, writing_locale(), shop_today())


def _moment(value: datetime) -> str:
    return formats.moment(value, writing_locale(), shop_zone(), shop_today())


def _cycle_name(leaves: date, key: str) -> str:
    return formats.cycle(leaves, key, writing_locale(), shop_today())


def _clock_time(value: datetime) -> str:
    local = value.astimezone(shop_zone()) if isinstance(value, datetime) else value
    return formats.clock_time(local, writing_locale())


def _day_range(first: date, last: date) -> str:
    return formats.day_range(first, last, writing_locale(), shop_today())


def _date_filter(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """Let a date filter also take a moment, read in the shop's zone."""

    def written(value: date | datetime) -> str:
        if isinstance(value, datetime):
            value = value.astimezone(shop_zone()).date()
        return write(value)

    return written


def _parts_of(address: Any) -> Mapping[str, Any]:
    """Return the parts of an address, or of what has them."""
    if isinstance(address, Mapping):
        return address
    parts = ("name", "company", "street", "extra", "postcode", "city", "region", "country")
    return {part: getattr(address, part, "") for part in parts}


FILTERS: dict[str, Callable[..., Any]] = {
    "money": _in_locale(formats.money),
    "money_short": _in_locale(formats.money_short),
    "number": _in_locale(formats.number),
    "percent": _in_locale(formats.percent),
    "day": _date_filter(_in_year(formats.day)),
    "short_day": _date_filter(_in_year(formats.short_day)),
    "table_day": _date_filter(_in_locale(formats.table_day)),
    "month": _date_filter(_in_year(formats.month)),
    "cycle_name": _cycle_name,
    "is_of_month": is_of_month,
    "is_named_by_month": is_named_by_month,
    "clock_time": _clock_time,
    "moment": _moment,
    "day_range": _day_range,
    "country": country_name,
    "names_vat": names_vat,
    "address": lambda address: Markup("<br>").join(address_lines(_parts_of(address))),
    "address_line": lambda address: ", ".join(address_lines(_parts_of(address))),
    "place": lambda address: Markup("<br>").join(place_lines(_parts_of(address))),
    "listing": _in_locale(formats.listing),
    "zone_name": formats.zone_name,
    "interval_per": formats.interval_per,
    "interval_each": formats.interval_each,
    "interval_name": formats.interval_name,
    "interval_inside": formats.interval_inside,
    "iso": iso,
    "slug": slug,
    "first_control": first_control,
    "likely_meant": likely_meant,
    "said": said,
    "said_list": said_list,
    "said_piece": said_piece,
    "attributes": attributes,
}

GLOBALS: dict[str, Any] = {
    "asset": static_url,
    "page_url": navigation.page_url,
    "here": navigation.here,
    "here_is": navigation.here_is,
    "shop_pages": lambda: navigation.SHOP,
    "legal_pages": navigation.legal_links,
    "content_links": lambda shop, place: navigation.content_links(
        shop.content, place, locale_code(), shop.locale
    ),
    "account_menu": lambda: navigation.ACCOUNT_MENU,
    "staff_menu": lambda: navigation.STAFF_MENU,
    "languages": lambda: LANGUAGES,
    "language_choices": languages.choices,
    "in_languages": languages.alternates,
    "locale_code": locale_code,
    "theme_choice": theme_choice,
    "pill_of": pill_of,
    "controls": control_attributes,
    "errors_of": errors_of,
    "slot": slot,
    "opted_out": opted_out,
    "excluded_note": excluded_note,
    "excluded_words": excluded_words,
    "draw_product": draw_product,
    "draw_box": draw_box,
    "tracking_link": parcel_link,
}
