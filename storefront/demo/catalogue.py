"""What *Nine Kettles* sells, as data: its words, plans, products, recipes, codes and staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

Unit = Literal["month", "year"]

SHOP: dict[str, Any] = {
    "name": "Nine Kettles",
    "line": "Nine kettles. One of them is yours.",
    "lines": {
        "de": {"line": "Neun Kessel. Einer davon ist Ihrer."},
        "fr": {"line": "Neuf bouilloires. L’une d’elles est à vous."},
    },
    "support_email": "hello@ninekettles.example",
    "seller_name": "Nine Kettles GmbH",
    "seller_address": "Teeweg 9\n10115 Berlin",
    "seller_tax_id": "DE136695976",
    "seller_country": "DE",
    "zone": "Europe/Berlin",
    "currency": "EUR",
    "locale": "en",
    "countries": ["DE", "AT", "FR", "NL"],
    "brand_hue": 262,
    "brand_chroma": 125,
    "accent_hue": 52,
    "accent_chroma": 155,
    "shares_parcels": True,
}

#: Charged on the 12th; changeable until the 11th, packed from the 16th, on its way on the 18th.
GROUP: dict[str, Any] = {
    "code": "monthly",
    "name": "Monthly boxes",
    "unit": "month",
    "count": 1,
    "charge_day": 12,
    "cutoff_days": 1,
    "lock_days": 3,
    "ship_days": 6,
    "ship_window_days": 2,
}
#: Grams that one box of each plan counts as for delivery.
WEIGHTS = {"cup": 350, "pot": 600, "table": 1100}
#: Name, (country, beginning of the postcode), (from grams, cost); no cost: nothing is sent there.
#: Germany's mainland and Austria have none: their prices hold delivery.
ZONES: tuple[tuple[str, tuple[tuple[str, str], ...], tuple[tuple[int, int], ...]], ...] = (
    ("France and the Netherlands", (("FR", ""), ("NL", "")), ((0, 190), (500, 290), (1000, 490))),
    ("Islands", (("DE", "18565"), ("DE", "25845"), ("DE", "25849"), ("DE", "26548")), ((0, 250),)),
    # Outside the customs territory of the EU: a parcel of bakes would need papers.
    ("Heligoland", (("DE", "27498"),), ()),
)
#: A format of exports of the shop's own, and what it types into its columns.
FORMAT_NAME = "DHL, our sender"
SENDER = {
    "SEND_NAME1": "Nine Kettles GmbH",
    "SEND_STREET": "Teeweg",
    "SEND_HOUSENUMBER": "9",
    "SEND_PLZ": "10115",
    "SEND_CITY": "Berlin",
    "SEND_COUNTRY": "DEU",
    "PRODUCT": "PAK02.DEU",
}
#: Days after the first decline on which a charge is tried again: four attempts in 21 days.
RETRY_DAYS = [3, 10, 21]
#: (unit, count, boxes, hundredths of the monthly price per box).
INTERVALS: tuple[tuple[Unit, int, int, int], ...] = (
    ("month", 1, 1, 100),
    ("month", 3, 3, 95),
    ("year", 1, 12, 90),
)


@dataclass(frozen=True, slots=True)
class PlanData:
    """A plan; ``early_minor`` is its monthly price before the one price change."""

    code: str
    name: str
    tagline: str
    description: str
    benefits: tuple[str, ...]
    early_minor: int
    now_minor: int
    is_recommended: bool = False
    asks_caffeine: bool = True


PLANS = (
    PlanData(
        "cup",
        "Cup",
        "Three teas for one good chair",
        "Three loose-leaf teas a month, enough for about thirty cups. It goes through the letter "
        "slot, so nobody has to wait in for it.",
        (
            "3 loose-leaf teas, 40 g each",
            "A card from each grower",
            "Fits through the letter slot",
            "Skip any box until its cut-off",
        ),
        1500,
        1600,
        asks_caffeine=False,
    ),
    PlanData(
        "pot",
        "Pot",
        "Four teas and something to dunk",
        "Four teas that you choose and a small bake from one of our bakeries. It is the box "
        "most people begin with, and the one we drink ourselves.",
        (
            "4 loose-leaf teas, 50 g each: you choose which",
            "A small bake from a bakery with a name",
            "With or without caffeine",
            "Skip any box until its cut-off",
        ),
        2400,
        2600,
        is_recommended=True,
    ),
    PlanData(
        "table",
        "Table",
        "Seven teas, two bakes, and people round them",
        "Seven teas and two bakes for a table that fills up on Sundays. Every third box holds a "
        "piece of teaware that earns its place on the shelf.",
        (
            "7 loose-leaf teas, 50 g each",
            "2 small bakes",
            "Teaware in every third box",
            "With or without caffeine",
            "Skip any box until its cut-off",
        ),
        3900,
        4200,
    ),
)

#: Opened in the story's last days: as many places as the cellar has, and all of them are taken.
LIMITED = PlanData(
    "cellar",
    "Cellar",
    "One aged tea, and few places",
    "Li Wen's pu-erh, which has lain in the dark for six years. There is a handful of places, and "
    "whoever leaves makes room for the next on the list.",
    (
        "200 g of pu-erh that nobody else sells",
        "Picked and pressed in one spring",
        "Skip any box until its cut-off",
    ),
    3200,
    3200,
    asks_caffeine=False,
)
LIMITED_PLACES, LIMITED_TEA, LIMITED_GRAMS = 3, "TEA-PUERH", 300

#: Not listed: who has the code finds it, and nobody of the story has ordered it.
PRIVATE = PlanData(
    "office",
    "Office",
    "Two teas for a whole floor",
    "Four tins each of two teas for the kitchen of an office. For firms that wrote to us: it is "
    "not on our list, and the code is theirs to pass on.",
    (
        "2 loose-leaf teas, 4 tins of each",
        "An invoice with your VAT number",
        "Skip any box until its cut-off",
    ),
    5400,
    5400,
    asks_caffeine=False,
)
PRIVATE_CODE, PRIVATE_TEAS, PRIVATE_GRAMS = "OFFICE9", ("TEA-ASSAM", "TEA-SENCHA"), 700

#: The question, and its answers as (code, name, hint).
CAFFEINE = ("caffeine", "Caffeine", "You can change your mind later.")
CAFFEINE_CHOICES = (
    ("usual", "As usual", "Whatever the month brings"),
    ("free", "Caffeine-free", "Herbs, rooibos and roasted grains"),
)
#: Recipes for boxes without caffeine carry this key.
CAFFEINE_FREE = "caffeine=free"


@dataclass(frozen=True, slots=True)
class ProductData:
    """A product with one variant. ``vendor`` grew or baked it, and ``text`` says how."""

    sku: str
    name: str
    vendor: str
    text: str
    category: str
    picture: str
    grams: int
    cost_minor: int
    price_minor: int
    allergens: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


TEAS = (
    ProductData("TEA-SENCHA", "Spring Sencha", "Haruka Mori", "Haruka Mori picks the first "
                "flush below her school in Kirishima and steams it the same afternoon.",
                "Tea", "tall-tin", 70, 310, 890, tags=("green",)),
    ProductData("TEA-ASSAM", "Malty Assam", "Ranjit Borah", "Ranjit Borah dries his second flush "
                "so slowly that his neighbours set their clocks by it.",
                "Tea", "squat-tin", 70, 240, 690, tags=("black",)),
    ProductData("TEA-DARJEELING", "Muscatel Darjeeling", "Pema Lama", "Pema Lama waits for the "
                "leafhoppers in June, because they bring the muscatel.",
                "Tea", "tall-tin", 70, 360, 1090, tags=("black",)),
    ProductData("TEA-OOLONG", "Iron Oolong", "Chen Mei-Ling", "Chen Mei-Ling rolls each batch "
                "three times and tastes it four.",
                "Tea", "squat-tin", 75, 390, 1190, tags=("oolong",)),
    ProductData("TEA-KUKICHA", "Roasted Kukicha", "Haruka Mori", "The twigs that other people "
                "sweep up, roasted by Haruka Mori until they smell of caramel.",
                "Tea", "pouch", 60, 180, 590, tags=("green", "roasted")),
    ProductData("TEA-PUERH", "Little Pu-erh", "Li Wen", "Li Wen leaves it in the dark for six "
                "years and calls that the easy part.",
                "Tea", "pouch", 65, 410, 1290, tags=("dark",)),
    ProductData("TEA-EARL", "Bergamot Grey", "Ranjit Borah and Donata Serra", "Donata Serra peels "
                "the bergamots in Calabria in January; Ranjit Borah's leaf does the rest.",
                "Tea", "tall-tin", 70, 270, 790, tags=("black", "citrus")),
    ProductData("TEA-NILGIRI", "Frost Nilgiri", "Meena Raju", "Meena Raju picks for two weeks in "
                "December, when the nights touch zero.",
                "Tea", "tall-tin", 70, 290, 850, tags=("black",)),
    ProductData("TEA-WHITE", "Azores White", "Rui Medeiros", "Rui Medeiros grows it on São "
                "Miguel, where the Atlantic does the watering.",
                "Tea", "jar", 45, 430, 1390, tags=("white",)),
)  # fmt: skip
HERBS = (
    ProductData("HERB-MINT", "Garden Peppermint", "Marta Hollenberg", "Marta Hollenberg cuts it "
                "before breakfast in the Saale valley.",
                "Herbs", "pouch", 50, 140, 490, tags=("caffeine-free",)),
    ProductData("HERB-ROOIBOS", "Cederberg Rooibos", "Willem Fortuin", "Willem Fortuin lets it "
                "ferment under wet sacking for one night and one night only.",
                "Herbs", "squat-tin", 70, 170, 590, tags=("caffeine-free",)),
    ProductData("HERB-CHAMOMILE", "Whole Chamomile", "Ilka Sommer", "Ilka Sommer dries the whole "
                "heads on linen in her hayloft.",
                "Herbs", "jar", 40, 190, 620, tags=("caffeine-free",)),
    ProductData("HERB-VERBENA", "Lemon Verbena", "Anaïs Roche", "Anaïs Roche strips the leaves by "
                "hand in the Drôme and hums while she does it.",
                "Herbs", "pouch", 40, 210, 650, tags=("caffeine-free",)),
    ProductData("HERB-SOBA", "Roasted Buckwheat", "Kenji Abe", "Kenji Abe roasts it over charcoal "
                "until it cracks like popcorn.",
                "Herbs", "pouch", 80, 160, 540, tags=("caffeine-free", "roasted")),
    ProductData("HERB-BARLEY", "Dark Barley", "Kenji Abe", "The barley from the field next to the "
                "buckwheat, roasted a shade darker.",
                "Herbs", "squat-tin", 80, 130, 480, ("gluten",), ("caffeine-free", "roasted")),
    ProductData("HERB-HIBISCUS", "Red Hibiscus", "Fatou Ndiaye", "Fatou Ndiaye sun-dries the "
                "calyces on her roof in Thiès.",
                "Herbs", "jar", 55, 150, 520, tags=("caffeine-free",)),
)  # fmt: skip
BAKES = (
    ProductData("BAKE-SHORTBREAD", "Salted Shortbread", "Bäckerei Anders", "Jule Anders bakes it "
                "at four in the morning and is asleep by the time you eat it.",
                "Bakes", "biscuit-box", 120, 210, 590, ("gluten", "dairy")),
    ProductData("BAKE-CANTUCCI", "Almond Cantucci", "Forno Bellini", "Twice baked by the Bellini "
                "brothers, who agree on nothing else.",
                "Bakes", "biscuit-box", 140, 240, 690, ("gluten", "nuts", "eggs")),
    ProductData("BAKE-GINGER", "Ginger Snaps", "Bäckerei Anders", "Jule Anders uses her aunt's "
                "recipe and twice her aunt's ginger.",
                "Bakes", "biscuit-box", 110, 190, 550, ("gluten", "dairy")),
    ProductData("BAKE-OAT", "Oat and Date Squares", "Korn & Kruste", "Nadim Haddad bakes them "
                "without butter in Leipzig, and nobody has noticed yet.",
                "Bakes", "jar", 150, 220, 620),
    ProductData("BAKE-MACARON", "Hazelnut Macarons", "Maison Lorrain", "Claire Lorrain still "
                "weighs every one of them.",
                "Bakes", "biscuit-box", 90, 310, 890, ("nuts", "eggs")),
)  # fmt: skip
TEAWARE = (
    ProductData("WARE-CUP", "Thumbprint Cup", "Ole Brandt", "Ole Brandt throws it on a kick wheel "
                "and leaves his thumb where yours goes.",
                "Teaware", "cup", 260, 690, 1900),
    ProductData("WARE-CADDY", "Enamel Caddy", "Emaille Kroll", "Pressed and fired by the Kroll "
                "sisters on their grandfather's machine.",
                "Teaware", "squat-tin", 240, 580, 1600),
    ProductData("WARE-BOTTLE", "Cold-brew Bottle", "Glashütte Lenz", "Petra Lenz blows it from "
                "old window glass.",
                "Teaware", "bottle", 380, 740, 2200),
    ProductData("WARE-SPOON", "Beech Scoop", "Ole Brandt's brother Nils", "Nils Brandt carves one "
                "a tea break.",
                "Teaware", "jar", 60, 260, 790),
)  # fmt: skip
EXTRAS = (
    ProductData("EXTRA-STRAINER", "Fine Strainer", "Emaille Kroll", "The Kroll sisters punch 900 "
                "holes into it and have never counted them.",
                "Teaware", "cup", 45, 420, 1200),
    ProductData("EXTRA-HONEY", "Honey Biscuits", "Bäckerei Anders", "Jule Anders sweetens them "
                "with the honey of the hives on her own roof.",
                "Bakes", "biscuit-box", 130, 180, 500, ("gluten", "dairy")),
    ProductData("EXTRA-TIN", "Tin for 100 g", "Emaille Kroll", "Closes with a click that you "
                "will do twice.",
                "Teaware", "tall-tin", 140, 310, 900),
)  # fmt: skip
PRODUCTS = (*TEAS, *HERBS, *BAKES, *TEAWARE, *EXTRAS)

#: What can be added to a box: (SKU, one line, price in minor units, tax class, plans; none: all).
ADDONS: tuple[tuple[str, str, int, str, tuple[str, ...]], ...] = (
    ("EXTRA-HONEY", "Twelve of them, baked the day before", 500, "reduced", ()),
    ("EXTRA-STRAINER", "Sits in every cup and most pots", 1200, "standard", ()),
    ("EXTRA-TIN", "Keeps 100 g dry", 900, "standard", ("pot", "table")),
)


#: What subscribers of Pot choose their four teas from, by the answer a recipe is for.
POOLS: dict[str, tuple[ProductData, ...]] = {
    "": (*TEAS, HERBS[0], HERBS[1], HERBS[5]),
    CAFFEINE_FREE: HERBS,
}
#: The bake beside them, which everybody tolerates.
POOL_BAKE = "BAKE-OAT"


def recipe_of(plan: str, number: int, *, is_free: bool = False) -> list[str]:
    """Return what goes into the ``number``-th monthly box of a plan, as SKUs.

    Teas, herbs, bakes and teaware take turns, so that neighbouring boxes differ; teaware
    comes with every third. ``is_free`` leaves caffeine out.

    >>> recipe_of("cup", 0)
    ['TEA-SENCHA', 'TEA-ASSAM', 'HERB-MINT']
    >>> len(recipe_of("table", 2)), len(recipe_of("table", 3))
    (10, 9)
    """
    teas, herbs, bakes = _SIZES[plan]
    if is_free:
        teas, herbs = 0, min(teas + herbs, len(HERBS))
    picked = _turn(TEAS, number, teas) + _turn(HERBS, number, herbs) + _turn(BAKES, number, bakes)
    if plan == "table" and number % 3 == 2:
        picked += _turn(TEAWARE, number // 3, 1)
    return [product.sku for product in picked]


#: Teas, herbs and bakes in a box.
_SIZES = {"cup": (2, 1, 0), "pot": (3, 1, 1), "table": (5, 2, 2)}


def _turn(shelf: tuple[ProductData, ...], number: int, many: int) -> list[ProductData]:
    start = number * many
    return [shelf[(start + each) % len(shelf)] for each in range(many)]


@dataclass(frozen=True, slots=True)
class CodeData:
    """A promotion code and its rule; ``ended_months_ago`` counts from the story's end."""

    code: str
    name: str
    percent: int
    duration: str = "once"
    cycles: int = 1
    intervals: tuple[tuple[Unit, int], ...] = ()
    ended_months_ago: int | None = None


CODES = (
    CodeData("LEMON", "10 % off the first payment", 10),
    CodeData("SPRING", "15 % off three boxes", 15, "cycles", 3, intervals=(("month", 1),)),
    CodeData("FIRSTFLUSH", "20 % off, in our first months", 20, ended_months_ago=9),
    CodeData("TWELVE", "8 % off when you pay for the year", 8, intervals=(("year", 1),)),
)


@dataclass(frozen=True, slots=True)
class StaffData:
    """Somebody on the staff of the demo."""

    email: str
    name: str
    role: str


STAFF = (
    StaffData("owner@ninekettles.example", "Greta Wolff", "owner"),
    StaffData("packing@ninekettles.example", "Jonas Pohl", "fulfilment"),
    StaffData("support@ninekettles.example", "Amina Traoré", "support"),
)
#: What the demo's staff and named customers type. Its hash is made at low cost, and the check
#: of a real shop refuses hashes that cheap, so it opens nothing there.
PASSWORD = "nine kettles on"  # noqa: S105 - it is printed at every start


def version_of(plan: PlanData, *, is_early: bool) -> list[tuple[Unit, int, int]]:
    """Return (unit, count, amount in minor units) of each interval the plan is sold in.

    >>> version_of(PLANS[1], is_early=False)
    [('month', 1, 2600), ('month', 3, 7410), ('year', 1, 28080)]
    """
    each = plan.early_minor if is_early else plan.now_minor
    return [(unit, count, each * boxes * of // 100) for unit, count, boxes, of in INTERVALS]


def months_before(day: date, months: int) -> date:
    """Return the first of the month that lies ``months`` before the month of ``day``.

    >>> months_before(date(2027, 3, 20), 4)
    datetime.date(2026, 11, 1)
    """
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)
