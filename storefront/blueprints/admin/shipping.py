"""Delivery: zones with their prices by weight, a trial, and what boxes weigh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from babel import Locale
from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import may, page, saved, who
from storefront.blueprints.admin.shipping_forms import (
    OTHER,
    TrialForm,
    ZoneForm,
    read_weights,
    weight_field,
    zone_form,
)
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.domain.shipping import Area, Zone, is_blocked, tariff_at
from storefront.htmx import go
from storefront.operations.shipping import read_zones
from storefront.queries import shipping as query
from storefront.security import register_policy, staff
from storefront.services import shipping as service
from storefront.templating import writing_locale

_NAMES = (
    "shipping",
    "shipping_zone",
    "shipping_zone_new",
    "shipping_remove",
    "shipping_weights",
)
register_policy({f"admin.{name}": staff(permissions.PLANS_MANAGE) for name in _NAMES})


def add_shipping(bp: Blueprint) -> None:
    """Add the pages of delivery."""
    both = ["GET", "POST"]
    bp.add_url_rule("/delivery", "shipping", shipping)
    bp.add_url_rule("/delivery/zones/new", "shipping_zone_new", new_zone, methods=both)
    bp.add_url_rule("/delivery/zones/<ref>", "shipping_zone", zone, methods=both)
    bp.add_url_rule("/delivery/zones/<ref>/remove", "shipping_remove", remove, methods=["POST"])
    bp.add_url_rule("/delivery/weights", "shipping_weights", weights, methods=both)


def shipping() -> Response:
    """Show the zones, and what a box that was asked about would cost."""
    return page("shipping/shipping", **_context())


def new_zone() -> Response:
    """Make a zone."""
    return _edit(None)


def zone(ref: str) -> Response:
    """Change a zone."""
    return _edit(_found(ref))


def remove(ref: str) -> Response:
    """Forget a zone, once it was said whom that cuts off."""
    zone = _found(ref)
    cut_off = _cut_off(None, zone)
    if cut_off and request.form.get("cut_off") != str(cut_off):
        title = zone.name or place_words(zone.areas)
        return page("shipping/remove", 422, ref=ref, title=title, cut_off=cut_off)
    try:
        service.remove_zone(runtime(), who(), ref)
    except service.ZoneGone:
        abort(404)
    return saved(_("Removed."), "shipping/shipping", url_for("admin.shipping"), **_context())


def weights() -> Response:
    """Say what one box of each plan counts as."""
    rt = runtime()
    rows = query.weight_rows(rt.session)
    rt.session.rollback()
    typed = {weight_field(row.plan, row.option_key): _text(row.grams) for row in rows}
    if request.method == "GET":
        return page("shipping/weights", **_weights(rows, typed, {}))
    typed |= {name: request.form.get(name, "") for name in typed}
    found, wrong = read_weights(typed, [(row.plan, row.option_key) for row in rows])
    if wrong:
        return page("shipping/weights", 422, **_weights(rows, typed, wrong))
    changed = False
    for plan in dict.fromkeys(row.plan for row in rows):
        mine = {key: grams for (code, key), grams in found.items() if code == plan}
        changed |= service.save_weights(rt, who(), plan, mine)
    text = _("Saved. It holds from the next payment on.") if changed else _("It is so already.")
    return go(url_for("admin.shipping_weights"), text)


def _edit(present: Zone | None) -> Response:
    rt = runtime()
    form = zone_form(request.form or None, rt.shop.currency, _countries(present), present)
    rt.session.rollback()
    if request.method == "GET" or not form.validate():
        return _zone_page(form, present)
    draft = form.draft()
    cut_off = _cut_off(draft, present)
    if cut_off and request.form.get("cut_off") != str(cut_off):
        return _zone_page(form, present, cut_off)
    try:
        service.save_zone(rt, who(), draft, present.ref if present else "")
    except service.PlaceTaken as error:
        field = form.postcodes if error.params["prefix"] else form.countries
        field.errors = [_taken(error)]
        return _zone_page(form, present)
    except service.ZoneGone:
        abort(404)
    return go(url_for("admin.shipping"), _("Saved. It holds from the next payment on."))


def _cut_off(draft: service.ZoneDraft | None, present: Zone | None) -> int:
    """Return how many subscriptions nothing could be sent to any more; no draft: it is removed."""
    rt = runtime()
    before, ref = read_zones(rt.session), present.ref if present else ""
    after = [one for one in before if one.ref != ref]
    if draft is not None:
        after.append(Zone(draft.areas, is_blocked=draft.is_blocked, ref=ref))
    countries = rt.shop.countries
    found = query.cut_off_by(
        rt.session, query.Served(countries, before), query.Served(countries, after)
    )
    rt.session.rollback()
    return found


def _taken(error: service.PlaceTaken) -> str:
    place = place_words([Area(error.params["country"], error.params["prefix"])])
    return _("%(place)s belongs to another zone. Take it out there first", place=place)


def _zone_page(form: ZoneForm, present: Zone | None, cut_off: int = 0) -> Response:
    return page(
        "shipping/zone",
        200 if request.method == "GET" else 422,
        form=form,
        zone=present,
        cut_off=cut_off,
        title=_("Change zone") if present else _("New zone"),
        currency=runtime().shop.currency,
    )


def _found(ref: str) -> Zone:
    found = next((one for one in read_zones(runtime().session) if one.ref == ref), None)
    if found is None:
        abort(404)
    return found


def _context() -> dict[str, Any]:
    rt = runtime()
    zones, currency = read_zones(rt.session), rt.shop.currency
    trial = TrialForm(request.args, currency, _countries(None)[:-1])
    return {
        "zones": [
            (
                one,
                one.name or place_words(one.areas),
                place_words(one.areas) if one.name else "",
                next((each for each in one.tariffs if each.currency == currency), None),
            )
            for one in sorted(zones, key=_order)
        ],
        "trial": trial,
        "answer": _answer(trial, zones) if "grams" in request.args and trial.validate() else None,
        "currency": currency,
        "tabs": tabs("shipping"),
    }


def _order(one: Zone) -> tuple[bool, bool, str]:
    """Countries first, then postcodes, every other country last."""
    first = one.areas[0] if one.areas else Area("")
    return first.country == "", bool(first.prefix), first.country


def _answer(form: TrialForm, zones: Sequence[Zone]) -> dict[str, Any]:
    """Say what the box of the trial would cost, by the function that charges."""
    country, postcode, grams, goods = form.asked
    if is_blocked(zones, country, postcode):
        return {"kind": "blocked"}
    found = tariff_at(zones, country, postcode, goods.currency)
    if found is None:
        return {"kind": "included"}
    zone, tariff = found
    cost = tariff.cost(grams, goods)
    name = zone.name or place_words(zone.areas)
    return {"kind": "free" if cost.is_zero else "cost", "cost": cost, "zone": name}


def _weights(
    rows: Sequence[query.WeightRow], typed: dict[str, str], wrong: dict[str, str]
) -> dict[str, Any]:
    return {
        "rows": [
            (row, name := weight_field(row.plan, row.option_key), typed[name], wrong.get(name))
            for row in rows
        ],
        "tabs": tabs("shipping_weights"),
    }


def _text(grams: int | None) -> str:
    return "" if grams is None else str(grams)


def tabs(active: str) -> list[tuple[str, str, bool]]:
    """Return the pages about delivery that this person may open."""
    pages = [
        (_("Zones"), "shipping", permissions.PLANS_MANAGE),
        (_("Weight of boxes"), "shipping_weights", permissions.PLANS_MANAGE),
        (_("Customs"), "customs", permissions.PRODUCTS_MANAGE),
    ]
    return [
        (words, url_for(f"admin.{name}"), name == active)
        for words, name, permission in pages
        if may(permission)
    ]


def place_words(areas: Sequence[Area]) -> str:
    """Return the places of a zone: "Germany, Austria: 6, every other country"."""
    names = Locale(writing_locale().language).territories
    codes: dict[str, list[str]] = {}
    for area in areas:
        codes.setdefault(area.country, []).append(area.prefix)
    words = []
    for country, prefixes in codes.items():
        name = str(names.get(country, country)) if country else _("Every other country")
        inside = [prefix for prefix in prefixes if prefix]
        words += [name] if "" in prefixes else []
        words += [f"{name} {', '.join(inside)}"] if inside else []
    return "; ".join(words)


def _countries(present: Zone | None) -> list[tuple[str, str]]:
    """Return (code, name) of the countries delivered to, and of those the zone has already."""
    rt = runtime()
    names = Locale(writing_locale().language).territories
    mine = {area.country for area in present.areas if area.country} if present else set()
    codes = [*rt.shop.countries, *sorted(mine - set(rt.shop.countries))]
    return [
        *((code, str(names.get(code, code))) for code in codes),
        (OTHER, _("Every other country")),
    ]
