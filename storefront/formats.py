"""How money, dates, shares and intervals are written, in the reader's language.

Pure functions of a value and a locale; the page's filters bind the locale, the shop's
time zone and today (``templating.py``). No template carries a format of its own.
Source: the table of formats in docs/frontend.md.
"""

import copy
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.lists import format_list
from babel.numbers import format_compact_currency, format_decimal, format_percent
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.domain.cycles import is_named_by_month, is_of_month
from storefront.domain.money import Money, exponent
from storefront.domain.periods import Interval

T = TypeVar("T")

MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"
NO_BREAK = "\N{NO-BREAK SPACE}"
NARROW = "\N{NARROW NO-BREAK SPACE}"

#: Patterns per language: long, short, table. English is British unless the locale says US.
_DAYS = {
    "en": ("EEE d MMMM", "d MMM", "d MMM yyyy"),
    "en_US": ("EEE, MMMM d", "MMM d", "MMM d, yyyy"),
    "de": ("EEE, d. MMMM", "d.M.", "dd.MM.yyyy"),
    "fr": ("EEE d MMMM", "d MMM", "dd/MM/yyyy"),
}
#: The same with the year, for a day that is not in the current one: long, short.
_DAYS_WITH_YEAR = {
    "en": ("EEE d MMMM yyyy", "d MMM yyyy"),
    "en_US": ("EEE, MMMM d, yyyy", "MMM d, yyyy"),
    "de": ("EEE, d. MMMM yyyy", "d.M.yyyy"),
    "fr": ("EEE d MMMM yyyy", "d MMM yyyy"),
}
#: How many written amounts and dates are kept: a page says few, and the same ones again and again.
_WRITTEN = 4096
_TIMES = {"en": "HH:mm", "en_US": "h:mm a", "de": "HH:mm 'Uhr'", "fr": "H\u202f'h'\u202fmm"}


@lru_cache(maxsize=32)
def writing_locale(code: str) -> Locale:
    """Return the locale numbers and dates are written in; plain ``en`` means British."""
    return Locale.parse("en_GB" if code == "en" else code.replace("-", "_"))


@lru_cache(maxsize=32)
def writing_locale_of(reader: Locale | None) -> Locale:
    """Return the locale that ``reader`` reads numbers and dates in; nobody reads English."""
    return writing_locale(str(reader or "en"))


@lru_cache(maxsize=32)
def tag_of(reader: Locale | None) -> str:
    """Return the language tag of a locale, for ``lang``: ``de``, ``fr-CH``."""
    return str(reader or "en").replace("_", "-")


@lru_cache(maxsize=_WRITTEN)
def money(value: Money, locale: Locale) -> str:
    """Return ``value`` with all its decimals: ``€1,234.50``, ``1.234,50 €``.

    The number of decimals is the currency's own (ISO 4217), whatever the locale's data
    says; a negative amount has a true minus sign.
    """
    digits = exponent(value.currency)
    pattern = copy.copy(locale.currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    amount = Decimal(value.minor).scaleb(-digits)
    text = pattern.apply(amount, locale, currency=value.currency, currency_digits=False)
    return str(text).replace("-", MINUS)


def money_short(value: Money, locale: Locale) -> str:
    """Return ``value`` shortened for a chart's axis: ``€8.2K``. Never used in a sum."""
    amount = Decimal(value.minor).scaleb(-exponent(value.currency))
    text = format_compact_currency(amount, value.currency, locale=locale, fraction_digits=1)
    return text.replace("-", MINUS)


def number(value: int | Decimal, locale: Locale) -> str:
    """Return ``value`` with the locale's separators."""
    return format_decimal(value, locale=locale).replace("-", MINUS)


def percent(value: int | Decimal, locale: Locale) -> str:
    """Return ``value`` percent: 5 is ``5%`` in English, ``5 %`` in German and French."""
    share = Decimal(value) / 100
    text = format_percent(share, locale=locale, decimal_quantization=False).replace("-", MINUS)
    # French puts the narrow space here as it does in numbers; the locale data has the wide one.
    return text.replace(NO_BREAK, NARROW) if locale.language == "fr" else text


def day(value: date, locale: Locale, today: date | None = None) -> str:
    """Return the long date, ``Thu 12 March``; with its year unless that is ``today``'s."""
    return _dated(value, 0, locale, today)


def short_day(value: date, locale: Locale, today: date | None = None) -> str:
    """Return the short date, ``12 Mar``; with its year unless that is ``today``'s."""
    return _dated(value, 1, locale, today)


def table_day(value: date, locale: Locale) -> str:
    """Return the date as it stands in a table column, always with its year."""
    return _french_first(format_date(value, _of(_DAYS, locale)[2], locale=locale), value, locale)


@lru_cache(maxsize=_WRITTEN)
def month(value: date, locale: Locale, today: date | None = None) -> str:
    """Return the month's name, ``March``; with its year unless that is ``today``'s."""
    same_year = today is not None and value.year == today.year
    return format_date(value, "LLLL" if same_year else "LLLL yyyy", locale=locale)


def cycle(leaves: date, key: str, locale: Locale, today: date | None = None) -> str:
    """Return what tells a cycle from the others of its group, the one place that names it.

    Its month, ``March``, where no other can have the same; else the day it leaves, ``12 Mar``.
    """
    write = month if is_of_month(key) and is_named_by_month(leaves) else short_day
    return write(leaves, locale, today)


@lru_cache(maxsize=_WRITTEN)
def clock_time(value: time | datetime, locale: Locale) -> str:
    """Return the time of day: ``23:59``, ``23:59 Uhr``, ``23 h 59``."""
    plain = value.time() if isinstance(value, datetime) else value
    text = format_time(plain, _of(_TIMES, locale), locale=locale)
    return text.lower() if str(locale) == "en_US" else text


def moment(value: datetime, locale: Locale, zone: ZoneInfo, today: date | None = None) -> str:
    """Return day and time in ``zone``: ``Sat 11 April, 23:59``. ``value`` is aware.

    Raises ``ValueError`` for a naive datetime.
    """
    if value.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    local = value.astimezone(zone)
    return f"{day(local.date(), locale, today)}, {clock_time(local, locale)}"


def day_range(first: date, last: date, locale: Locale, today: date | None = None) -> str:
    """Return the days from ``first`` to ``last``, both included: ``18–20 March``.

    Raises ``ValueError`` if ``last`` comes before ``first``.
    """
    if last < first:
        raise ValueError(f"{last} comes before {first}")
    end = _month_day(last, locale, today)
    if first == last:
        return end
    if (first.year, first.month) == (last.year, last.month):
        begin = format_date(first, "d.", locale=locale)
        begin = begin if locale.language == "de" else begin.rstrip(".")
        begin = _french_first(begin, first, locale)
        tight = EN_DASH
    else:
        begin = _month_day(first, locale, last if first.year == last.year else today)
        tight = f" {EN_DASH} "
    return f"du {begin} au {end}" if locale.language == "fr" else f"{begin}{tight}{end}"


def listing(values: Sequence[str], locale: Locale) -> str:
    """Return ``values`` as a list in words: ``Assam, Kukicha and Earl Grey``."""
    return format_list([str(value) for value in values], locale=locale)


def cutoff(day: str, zone: str) -> str:
    """Return the last moment of a day in words: ``Fri 11 December, 23:59 (Berlin time)``."""
    return _("%(day)s, 23:59 (%(zone)s time)", day=day, zone=zone_name(zone))


def zone_name(zone: str) -> str:
    """Return the city of a time zone name: ``Europe/Berlin`` is ``Berlin``."""
    return zone.rpartition("/")[2].replace("_", " ")


def interval_per(interval: Interval) -> str:
    """Return what a price is for: ``a month``, ``every 3 months``, ``a year``."""
    count = interval.count
    match interval.unit:
        case "day":
            return ngettext("a day", "every %(num)s days", count)
        case "week":
            return ngettext("a week", "every %(num)s weeks", count)
        case "month":
            return ngettext("a month", "every %(num)s months", count)
        case _:
            return ngettext("a year", "every %(num)s years", count)


def interval_each(interval: Interval) -> str:
    """Return how often something happens: ``every month``, ``every 3 months``."""
    count = interval.count
    match interval.unit:
        case "day":
            return ngettext("every day", "every %(num)s days", count)
        case "week":
            return ngettext("every week", "every %(num)s weeks", count)
        case "month":
            return ngettext("every month", "every %(num)s months", count)
        case _:
            return ngettext("every year", "every %(num)s years", count)


def interval_name(interval: Interval) -> str:
    """Return the interval as a choice or after a plan's name: ``Monthly``."""
    if interval.count == 1:
        match interval.unit:
            case "day":
                return _("Daily")
            case "week":
                return _("Weekly")
            case "month":
                return _("Monthly")
            case _:
                return _("Yearly")
    count = interval.count
    match interval.unit:
        case "day":
            return ngettext("Every day", "Every %(num)s days", count)
        case "week":
            return ngettext("Every week", "Every %(num)s weeks", count)
        case "month":
            return ngettext("Every month", "Every %(num)s months", count)
        case _:
            return ngettext("Every year", "Every %(num)s years", count)


def interval_inside(interval: Interval) -> str:
    """Return ``interval_name`` inside a line: ``monthly``; nouns keep their capitals."""
    name = interval_name(interval)
    return name[:1].lower() + name[1:]


def _of(table: Mapping[str, T], locale: Locale) -> T:
    """Return the entry of the locale, else of its language, else the English one."""
    for key in (str(locale), locale.language):
        if key in table:
            return table[key]
    return table["en"]


@lru_cache(maxsize=_WRITTEN)
def _dated(value: date, which: int, locale: Locale, today: date | None) -> str:
    same_year = today is not None and value.year == today.year
    pattern = _of(_DAYS if same_year else _DAYS_WITH_YEAR, locale)[which]
    return _french_first(format_date(value, pattern, locale=locale), value, locale)


@lru_cache(maxsize=_WRITTEN)
def _month_day(value: date, locale: Locale, today: date | None) -> str:
    same_year = today is not None and value.year == today.year
    pattern = "d. MMMM" if locale.language == "de" else "d MMMM"
    text = format_date(value, pattern if same_year else f"{pattern} yyyy", locale=locale)
    return _french_first(text, value, locale)


def _french_first(text: str, value: date, locale: Locale) -> str:
    """French writes the first of a month as an ordinal: ``1er mars``."""
    if locale.language != "fr" or value.day != 1 or "/" in text:
        return text
    return " ".join("1er" if word == "1" else word for word in text.split(" "))
