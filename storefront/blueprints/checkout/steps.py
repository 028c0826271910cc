"""Steps 1 and 2 of an order, and its promotion code."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, abort, request, session, url_for
from flask_babel import gettext as _

from storefront.blueprints.address_parts import is_turning
from storefront.blueprints.checkout import allergies, places, tax_fields, unsaved, words
from storefront.blueprints.checkout.again import AGAIN, BEGUN, Kept, kept_of
from storefront.blueprints.checkout.forms import (
    ANSWER,
    GIFT,
    DeliveryForm,
    answers,
    box_form,
    delivery_form,
    picked,
)
from storefront.blueprints.checkout.loading import (
    box_url,
    gives,
    lacks_for_carrier,
    load,
    look,
    onward,
    sends,
    shown,
)
from storefront.blueprints.context import runtime
from storefront.blueprints.health_words import health_words
from storefront.blueprints.intervals import interval_code, interval_from
from storefront.blueprints.opened import codes_of_visit
from storefront.blueprints.places import as_asked, refuse
from storefront.blueprints.preferences import market_of_visit
from storefront.blueprints.sources import source_of_visit
from storefront.domain.privacy import normalise_email
from storefront.htmx import go, show
from storefront.logins import current_customer
from storefront.operations.beginning import Start
from storefront.operations.checkout import Order
from storefront.operations.order_items import BoxWish, OrderItem
from storefront.queries.checkout import (
    Choosable,
    KnownDelivery,
    find_plan,
    known_delivery,
    preview,
    with_another,
)
from storefront.runtime import Runtime
from storefront.security import PUBLIC, register_policy
from storefront.services.baskets import BoxChoice, change_box
from storefront.services.checkout import change_delivery, start_checkout
from storefront.services.coupons import use_code
from storefront.templating import locale_code, writing_locale

bp = Blueprint("checkout", __name__)
# Not a value of the page: macros that are imported know only what every template knows.
bp.add_app_template_global(health_words)
register_policy(
    {
        f"checkout.{name}": PUBLIC
        for name in (
            "choose",
            "start",
            "resume",
            "box",
            "save_box",
            "delivery",
            "save_delivery",
        )
    }
)

_PLAN_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_FOLDER = "storefront/checkout"
_BEGUN_KEPT = 5
#: Key of the customer whose link this browser followed.
REFERRER = "referrer"


@bp.get("/checkout")
def choose() -> Response:
    """Step 1 before anything is written: looking at a box leaves nothing behind."""
    rt = runtime()
    order, _chosen, kept = begun(rt)
    full = _is_full(rt, order, kept)
    return box_page(order, order.first, box_form(order.first), is_full=full)


@bp.post("/checkout")
def start() -> Response:
    """Begin an order with what was chosen."""
    rt = runtime()
    order, chosen, kept = begun(rt)
    item = order.first
    asked = [ANSWER + question.code for question in item.questions]
    form = box_form(item, request.form)
    if _is_full(rt, order, kept):
        return box_page(order, item, form, 422, is_full=True)
    options: dict[str, str] = {}
    addons: list[dict[str, Any]] = []
    if any(name in request.form for name in asked) or "step" in request.form:
        if not form.validate():
            return box_page(order, item, form, 422)
        options, addons = answers(form, item.questions), picked(form, item)
    customer = current_customer()
    known = kept.known
    if customer is not None:
        known = look(rt, lambda: known_delivery(rt.session, customer.id))
    key = start_checkout(
        rt,
        Start(
            chosen.plan_id,
            chosen.price_id,
            options,
            customer.id if customer else None,
            known.email,
            known.address,
            known.avoids,
            locale_code(),
            source_of_visit(),
            known.tax_id,
            session.get(REFERRER),
            addons,
            kept.others,
            billing=known.billing,
        ),
    )
    session[BEGUN] = [*session.get(BEGUN, []), key][-_BEGUN_KEPT:]
    # Who comes from the price page has not seen what can be added.
    seen = "step" in request.form or not item.addons
    ready = len(options) == len(asked) and seen
    if kept.code:
        # One that ended was named where the order was gone on with.
        use_code(rt, key, kept.code)
    # Who comes from the page of gifts is asked who gets it, not where they live.
    onward = "checkout.gift" if request.form.get(GIFT) and not addons else "checkout.delivery"
    return go(url_for(onward if ready else "checkout.box", key=key))


def begun(rt: Runtime, wish: BoxWish | None = None) -> tuple[Order, Choosable, Kept]:
    """Return the order as it would be, what was chosen for it, and what an expired one left.

    ``wish`` is what is picked on the page by now, none: what it opens with.
    """
    chosen = chosen_plan(rt)

    def read() -> tuple[Order, Choosable, Kept]:
        kept, market = kept_of(rt), market_of_visit(rt)
        like = wish or kept.first
        if like is not None and like.plan_id != chosen.plan_id:
            like = None
        order = preview(rt.session, chosen, market, rt.moment(), like, kept.others)
        guest = places.invited(rt)
        if guest is not None and not kept.known.email:
            kept = replace(kept, known=KnownDelivery(guest.email, kept.known.address))
        return order, chosen, kept

    return look(rt, read)


def with_one_more(rt: Runtime, key: str, picked: BoxWish | None = None) -> Order:
    """Return the order with the plan of the request at its end, not yet written."""
    chosen, market = chosen_plan(rt), market_of_visit(rt)
    found = look(rt, lambda: with_another(rt.session, key, chosen, market, rt.moment(), picked))
    if found is None:
        abort(404)
    return found


def _is_full(rt: Runtime, order: Order, kept: Kept) -> bool:
    """Return whether nothing of the plan is left for who chooses it."""
    customer = current_customer()
    email = customer.email if customer is not None else kept.known.email
    return places.is_full(rt, order.first.plan.code, email)


@bp.get("/checkout/<key>")
def resume(key: str) -> Response:
    """Lead to where the order stands."""
    order = load(runtime(), key)
    return onward(order)


@bp.get("/checkout/<key>/box")
@bp.get("/checkout/<key>/box/<ref>")
def box(key: str, ref: str = "") -> Response:
    """Step 1 again, of one box of the order."""
    order = load(runtime(), key, "box")
    item = order.item(ref)
    if item is None:
        return onward(order)
    return box_page(order, item, box_form(item))


@bp.post("/checkout/<key>/box")
@bp.post("/checkout/<key>/box/<ref>")
def save_box(key: str, ref: str = "") -> Response:
    """Take another interval or other options, and go on where the shopper was."""
    rt = runtime()
    order = load(rt, key, "box")
    item = order.item(ref)
    if item is not None:
        form = box_form(item, request.form)
        if not form.validate() and not adds_box():
            return box_page(order, item, form, 422)
        change_box(rt, key, choice_of(item, form), ref)
    if adds_box():
        return go(url_for("checkout.choose_more", key=key))
    return onward(load(rt, key))


@bp.get("/checkout/<key>/delivery")
def delivery(key: str) -> Response:
    """Step 2: who and where."""
    rt = runtime()
    order = load(rt, key, "delivery")
    known = {
        **order.checkout.address,
        "email": order.checkout.email,
        "tax_id": order.checkout.tax_id,
        "agree": bool(order.checkout.avoids),
        "billing": order.checkout.billing,
    }
    typed = unsaved.kept(key)
    form = delivery_form(countries_of(rt), known, typed)
    form.agree.data = known["agree"]
    if order.is_blocked or (order.has_delivery and lacks_for_carrier(order)):
        # Blocked or asked for since the address was typed: say so where it is to be changed.
        refuse(rt, form)
    return delivery_page(rt, order, form)


@bp.post("/checkout/<key>/delivery")
def save_delivery(key: str) -> Response:
    """Take e-mail and address; a signed-in customer orders under their own e-mail."""
    rt = runtime()
    order = load(rt, key, "delivery")
    customer = current_customer()
    given: Any = request.form.copy()
    if customer is not None:
        given["email"] = customer.email
    form = delivery_form(countries_of(rt), {}, given)
    unsaved.keep(key)
    if is_turning():
        return delivery_page(rt, order, form)
    fine = form.validate() and not (sends(order) and refuse(rt, form))
    avoided = allergies.check(rt, order, form)
    is_taxed = tax_fields.check(rt, order, form)
    if not (fine and avoided is not None and is_taxed):
        if not adds_box():
            return delivery_page(rt, order, form, 422)
        form.drop_wrong()
    number = tax_fields.number_of(rt, form)
    tax_id = (number, tax_fields.state_of(rt, order, number))
    email = normalise_email(form.email.data) if form.email.data else ""
    address = as_asked(rt, form.address(), ships=sends(order))
    change_delivery(rt, key, email, address, tax_id, avoided or (), form.billed())
    unsaved.forget()
    if adds_box():
        return go(url_for("checkout.choose_more", key=key))
    return go(url_for("checkout.pay", key=key), moved(order, load(rt, key)), is_problem=True)


def adds_box() -> bool:
    """Return whether the shopper leaves a step for one more box: what is right in it is kept."""
    return request.form.get("then") == "add"


def moved(before: Order, after: Order) -> str | None:
    """Say that an address changed what was shown beside it; None where it did not."""
    if before.quote is None or after.quote is None or before.to_pay == after.to_pay:
        return None
    if before.quote.treatment is not after.quote.treatment:
        # The summary says itself why no tax is charged.
        return None
    return _(
        "With this address the total is %(new)s instead of %(old)s.",
        new=words.money(after.to_pay),
        old=words.money(before.to_pay),
    )


def box_page(
    order: Order,
    item: OrderItem,
    form: Any,
    status: int = 200,
    problem: str | None = None,
    *,
    is_full: bool = False,
) -> Response:
    """Answer with step 1 for one box of ``order``, beside the summary of all."""
    return show(
        f"{_FOLDER}/box.html",
        f"{_FOLDER}/_box_form.html",
        status,
        problem=problem,
        is_full=is_full,
        page_has_errors=status != 200,
        **box_values(item, form),
        **step_values(order),
    )


def step_values(order: Order) -> dict[str, Any]:
    """Return what step 1 shows beside its form, of a gift what holds for it."""
    values = shown(order, "box")
    if gives(order) and order.gift is None:
        once = _("Paid once, over by itself. Nothing renews, for you or for them.")
        values["boxes"] = [replace(box, then=[once]) for box in values["boxes"]]
    return values


def box_values(item: OrderItem, form: Any) -> dict[str, Any]:
    """Return what the form of step 1 needs."""
    prices = {interval_code(price.interval): price for price in item.prices}
    return {
        "item": item,
        "form": form,
        "prices": prices,
        "notes": {code: words.box_note(item.plan, price) for code, price in prices.items()},
        "source": source_of_visit(),
        "is_gift": bool(request.values.get(GIFT)),
        "summary_url": _summary_url(item),
        "again": request.values.get(AGAIN, "")[:40],
        "place": request.values.get(places.PLACE, "")[:200],
        "form_url": _form_url(item),
    }


_ADDS = ("checkout.choose_more", "checkout.add", "checkout.added_summary")


def _summary_url(item: OrderItem) -> str:
    """Return where the summary is asked for with what is picked; empty where it cannot be."""
    key = (request.view_args or {}).get("key")
    if key is not None and request.endpoint in _ADDS:
        return url_for("checkout.added_summary", key=key, plan=item.plan.code)
    if key is not None:
        return url_for("checkout.kept_summary", key=key, of=item.ref or None)
    kept: dict[str, Any] = {name: request.values.get(name) or None for name in (AGAIN, GIFT)}
    return url_for("checkout.summary", plan=item.plan.code, **kept)


def _form_url(item: OrderItem) -> str:
    """Return where the form of ``item`` goes: on to a new order, to one more box, or to itself."""
    key = (request.view_args or {}).get("key")
    if key is None:
        return url_for("checkout.choose")
    if request.endpoint in _ADDS:
        return url_for("checkout.add", key=key)
    return box_url(key, item.ref)


def choice_of(item: OrderItem, form: Any) -> BoxChoice:
    """Return what a valid form of step 1 says."""
    interval = interval_from(form["interval"].data) if "interval" in form else None
    price = next((each for each in item.prices if each.interval == interval), item.price)
    price_id = price.id if price is not None else item.wish.price_id
    return BoxChoice(item.plan.id, price_id, answers(form, item.questions), picked(form, item))


def delivery_page(rt: Runtime, order: Order, form: DeliveryForm, status: int = 200) -> Response:
    return show(
        f"{_FOLDER}/delivery.html",
        f"{_FOLDER}/_delivery_form.html",
        status,
        page_has_errors=status != 200,
        **delivery_values(rt, order, form),
        **shown(order, "delivery"),
    )


def delivery_values(rt: Runtime, order: Order, form: DeliveryForm) -> dict[str, Any]:
    """Return what the form of step 2 needs."""
    fields = {**tax_fields.asked(rt, form, sends(order)), **allergies.asked(rt, order)}
    return {"form": form, "countries": countries_of(rt), **fields}


def chosen_plan(rt: Runtime) -> Choosable:
    code = request.values.get("plan", "")
    if not _PLAN_CODE.fullmatch(code):
        abort(404)
    interval = interval_from(request.values.get("interval"))
    wished = (interval.unit, interval.count) if interval else None
    market, today = market_of_visit(rt), rt.today()
    codes = codes_of_visit()
    found = look(rt, lambda: find_plan(rt.session, code, market, today, wished, codes))
    if found is None:
        abort(404)
    return found


def countries_of(rt: Runtime) -> list[tuple[str, str]]:
    names = writing_locale().territories
    codes = market_of_visit(rt).countries
    return [(each, str(names.get(each, each))) for each in codes]
