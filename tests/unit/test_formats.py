"""Money, dates and intervals as the three languages write them."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from storefront import formats
from storefront.domain.money import Money
from storefront.domain.periods import Interval

EN, DE, FR = (formats.writing_locale(code) for code in ("en", "de", "fr"))
TODAY = date(2026, 3, 2)
BERLIN = ZoneInfo("Europe/Berlin")
NB, NARROW = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("locale", "text"),
    [(EN, "€1,234.50"), (DE, f"1.234,50{NB}€"), (FR, f"1{NARROW}234,50{NB}€")],
)
def test_money_follows_the_language(locale, text):
    assert formats.money(Money(123450, "EUR"), locale) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Money(1600, "JPY"), "JP¥1,600"),
        (Money(1600, "KWD"), "KWD1.600"),
        (Money(0, "EUR"), "€0.00"),
        (Money(2, "HUF"), "HUF0.02"),
    ],
)
def test_money_has_the_decimals_of_its_currency(value, text):
    assert formats.money(value, EN).replace(NB, "") == text


@pytest.mark.parametrize(
    ("locale", "text"),
    [(EN, "−€5.20"), (DE, f"−5,20{NB}€"), (FR, f"−5,20{NB}€")],
)
def test_a_credit_has_a_true_minus_sign(locale, text):
    assert formats.money(Money(-520, "EUR"), locale) == text


def test_a_short_amount_is_for_charts():
    assert formats.money_short(Money(824000, "EUR"), EN) == "€8.2K"


@pytest.mark.parametrize(
    ("locale", "long", "short", "table"),
    [
        (EN, "Thu 12 March", "12 Mar", "12 Mar 2026"),
        (DE, "Do., 12. März", "12.3.", "12.03.2026"),
        (FR, "jeu. 12 mars", "12 mars", "12/03/2026"),
    ],
)
def test_dates_come_in_three_lengths(locale, long, short, table):
    day = date(2026, 3, 12)
    assert formats.day(day, locale, TODAY) == long
    assert formats.short_day(day, locale, TODAY) == short
    assert formats.table_day(day, locale) == table


@pytest.mark.parametrize(
    ("locale", "text"),
    [(EN, "Tue 12 January 2027"), (DE, "Di., 12. Januar 2027"), (FR, "mar. 12 janvier 2027")],
)
def test_the_year_appears_when_it_is_another(locale, text):
    assert formats.day(date(2027, 1, 12), locale, TODAY) == text


def test_the_first_of_a_month_is_an_ordinal_in_french():
    assert formats.day(date(2026, 5, 1), FR, TODAY) == "ven. 1er mai"
    assert formats.day(date(2026, 5, 11), FR, TODAY) == "lun. 11 mai"


@pytest.mark.parametrize(
    ("locale", "text"), [(EN, "23:59"), (DE, "23:59 Uhr"), (FR, "23\u202fh\u202f59")]
)
def test_times_follow_the_language(locale, text):
    assert formats.clock_time(time(23, 59), locale) == text


def test_americans_read_their_own_dates_and_times():
    locale = formats.writing_locale("en-US")
    at = datetime(2026, 4, 12, 3, 59, tzinfo=UTC)
    text = formats.moment(at, locale, ZoneInfo("America/New_York"), TODAY)
    assert text.replace(NARROW, " ") == "Sat, April 11, 11:59 pm"


def test_a_moment_is_told_in_the_shops_zone():
    at = datetime(2026, 4, 11, 21, 59, tzinfo=UTC)
    assert formats.moment(at, EN, BERLIN, TODAY) == "Sat 11 April, 23:59"


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        formats.moment(datetime(2026, 4, 11), EN, BERLIN)  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("locale", "text"),
    [(EN, "18–20 March"), (DE, "18.–20. März"), (FR, "du 18 au 20 mars")],
)
def test_a_range_in_one_month_names_the_month_once(locale, text):
    assert formats.day_range(date(2026, 3, 18), date(2026, 3, 20), locale, TODAY) == text


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        (EN, "30 March – 2 April"),
        (DE, "30. März – 2. April"),
        (FR, "du 30 mars au 2 avril"),
    ],
)
def test_a_range_over_two_months_names_both(locale, text):
    assert formats.day_range(date(2026, 3, 30), date(2026, 4, 2), locale, TODAY) == text


def test_a_range_of_one_day_is_that_day():
    assert formats.day_range(date(2026, 3, 18), date(2026, 3, 18), FR, TODAY) == "18 mars"


def test_a_range_over_the_new_year_says_which():
    text = formats.day_range(date(2026, 12, 30), date(2027, 1, 2), EN, TODAY)
    assert text == "30 December – 2 January 2027"


def test_a_range_that_runs_backwards_is_refused():
    with pytest.raises(ValueError, match="before"):
        formats.day_range(date(2026, 3, 20), date(2026, 3, 18), EN)


@pytest.mark.parametrize(("locale", "text"), [(EN, "5%"), (DE, f"5{NB}%"), (FR, f"5{NARROW}%")])
def test_percent_follows_the_language(locale, text):
    assert formats.percent(5, locale) == text


def test_percent_keeps_the_decimals_it_has():
    assert formats.percent(Decimal("2.55"), EN) == "2.55%"


@pytest.mark.parametrize(("locale", "word"), [(EN, "and"), (DE, "und"), (FR, "et")])
def test_a_list_ends_with_a_word(locale, word):
    text = formats.listing(["Assam", "Kukicha", "Earl Grey"], locale)
    assert text == f"Assam, Kukicha {word} Earl Grey"


@pytest.mark.parametrize(
    ("interval", "per", "each", "name"),
    [
        (Interval("month"), "a month", "every month", "Monthly"),
        (Interval("month", 3), "every 3 months", "every 3 months", "Every 3 months"),
        (Interval("year"), "a year", "every year", "Yearly"),
        (Interval("week", 2), "every 2 weeks", "every 2 weeks", "Every 2 weeks"),
    ],
)
def test_intervals_have_words_for_prices_rhythms_and_choices(interval, per, each, name):
    assert formats.interval_per(interval) == per
    assert formats.interval_each(interval) == each
    assert formats.interval_name(interval) == name


def test_a_month_stands_alone_in_its_own_year():
    assert formats.month(date(2026, 3, 1), EN, TODAY) == "March"
    assert formats.month(date(2027, 3, 1), DE, TODAY) == "März 2027"


def test_a_zone_is_named_by_its_city():
    assert formats.zone_name("America/New_York") == "New York"
