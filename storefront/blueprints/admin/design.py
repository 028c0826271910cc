"""The design page: every part of the product in every state, for people who build pages."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    RadioField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    widgets,
)

from storefront.blueprints.admin.design_samples import samples
from storefront.charts import Point, Series, bar_chart, line_chart, sparkline
from storefront.domain.money import Money
from storefront.htmx import go
from storefront.pills import PILLS
from storefront.security import register_policy, staff

register_policy({"admin.design": staff()})

FRAMES = ("admin", "account", "shop", "checkout")

#: Fixed samples: the page must look the same on every day.
_NOON = datetime(2027, 4, 11, 12, 0, tzinfo=UTC)
_PRODUCTS = (
    ("Kukicha", "toasty, soft", "tea"),
    ("Darjeeling First Flight", "floral, light", "tea"),
    ("Earl Grey", "citrus, brisk", "tin"),
    ("Rooibos", "sweet, caffeine-free", "herbal"),
    ("Oat biscuits", "crumbly, contains gluten", "bake"),
    ("Quince jelly", "sharp, bright", "preserve"),
    ("Elderflower syrup", "for cold days too", "syrup"),
    ("Tasting cup", "porcelain, 120 ml", "teaware"),
)


@dataclass(frozen=True)
class Happening:
    """One line of the sample timeline."""

    at: datetime
    text: str
    icon: str
    tone: str
    who: str = ""
    detail: str = ""
    count: int = 1


def _choices(**words: str) -> list[SelectChoice]:
    return [SelectChoice(value, label) for value, label in words.items()]


class SampleForm(FlaskForm):
    """One field of each kind; it is never sent anywhere."""

    email = EmailField("E-mail", description="For the receipt and changes to your box.")
    street = StringField("Street and number")
    postcode = StringField("Postcode")
    town = StringField("Town")
    country = SelectField("Country", choices=_choices(DE="Germany", AT="Austria"))
    note = TextAreaField("Note for the carrier")
    pause = RadioField(
        "Pause for", choices=_choices(one="1 box", two="2 boxes", three="3 boxes"), default="two"
    )
    avoid = SelectMultipleField(
        "What should not be in your box?",
        choices=_choices(none="None of these", nuts="Nuts", gluten="Gluten"),
        default=["nuts"],
        widget=widgets.ListWidget(prefix_label=False),
        option_widget=widgets.CheckboxInput(),
    )
    same = BooleanField("Bill to the same address", default=True)


def add_design(bp: Blueprint) -> None:
    """Add the page to the admin's blueprint."""
    bp.add_url_rule("/design", "design", design, methods=["GET", "POST"])


def design() -> str | Response:
    """Draw the page in the frame asked for (``?frame=shop``), with or without errors.

    Its forms are there to be tried, so what they send is answered and not stored.
    """
    asked = request.args.get("frame", FRAMES[0])
    frame = asked if asked in FRAMES else FRAMES[0]
    if request.method == "POST":
        return go(url_for("admin.design", frame=frame), _("A sample: nothing was saved."))
    return render_template(
        "storefront/admin/design.html",
        frame=frame,
        frames=FRAMES,
        with_errors="errors" in request.args,
        form=_sample_form(with_errors="errors" in request.args),
        products=_PRODUCTS,
        pills=_pills_by_kind(),
        deadline=_NOON.replace(hour=21, minute=59),
        events=_events(),
        eur=lambda minor: Money(minor, "EUR"),
        day_of=lambda month, day: date(2027, month, day),
        **_drawings(),
        **samples(),
    )


def _sample_form(*, with_errors: bool) -> SampleForm:
    form = SampleForm(formdata=None)
    if with_errors:
        form.email.data = "ada@"
        form.email.errors = ["Enter an e-mail like name@example.com"]
        form.postcode.data = "0774"
        form.postcode.errors = ["German postcodes have 5 digits, like 07743"]
        form.pause.errors = ["Choose how many boxes to pause for"]
    return form


def _pills_by_kind() -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for kind, state in PILLS:
        kinds.setdefault(kind, []).append(state)
    return kinds


def _events() -> list[Happening]:
    return [
        Happening(
            _NOON, "Your bank declined €26.00. Nothing was charged.", "warning", "danger", count=2
        ),
        Happening(
            _NOON.replace(day=8), "Box of April: Kukicha chosen.", "check", "info", who="Ada"
        ),
        Happening(
            _NOON.replace(day=1),
            "Skipped the box of March.",
            "skip",
            "neutral",
            detail="No charge.",
        ),
        Happening(_NOON.replace(month=3), "Subscription started.", "box", "positive"),
    ]


def _drawings() -> dict[str, Any]:
    months = ("Oct", "Nov", "Dec", "Jan", "Feb", "Mar")
    new = [
        Point(m, v, url=f"?frame=admin&month={m}")
        for m, v in zip(months, (31, 44, 68, 22, 35, 41), strict=True)
    ]
    left = [Point(m, -v) for m, v in zip(months, (12, 14, 11, 25, 18, 13), strict=True)]
    kept = [
        Series("2025", [Point(str(n), v) for n, v in enumerate((100, 86, 79, 74, 71, 69, 67), 1)]),
        Series("2026", [Point(str(n), v) for n, v in enumerate((100, 89, 84, 80, 78), 1)]),
    ]
    return {
        "bars": bar_chart([Series("New", new), Series("Cancelled", left)], unit=str),
        "lines": line_chart(kept, unit=lambda value: f"{value:g}%", top=100),
        "spark": sparkline([31, 44, 68, 22, 35, 41]),
        "bar_rows": [(m, a.value, b.value) for m, a, b in zip(months, new, left, strict=True)],
        "line_rows": [(n, f"{v}%") for n, v in enumerate((100, 86, 79, 74, 71, 69, 67), 1)],
    }
