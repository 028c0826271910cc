"""Several boxes in one order: choose one more, take one off again."""

from __future__ import annotations

from flask import Response, flash, request
from flask_babel import gettext as _

from storefront.blueprints.checkout.codes import refreshed
from storefront.blueprints.checkout.forms import CodeForm, box_form
from storefront.blueprints.checkout.loading import is_alone, load, look, may_add, onward, shown
from storefront.blueprints.checkout.steps import box_page, bp, choice_of, with_one_more
from storefront.blueprints.context import runtime
from storefront.blueprints.preferences import market_of_visit
from storefront.domain.baskets import MOST_BOXES
from storefront.htmx import show
from storefront.operations.checkout import Order
from storefront.queries.pricing import pricing_page
from storefront.security import PUBLIC, register_policy
from storefront.services.baskets import Changed, add_box
from storefront.services.baskets import remove_box as take_off

register_policy({f"checkout.{name}": PUBLIC for name in ("choose_more", "add", "remove_box")})

_FOLDER = "storefront/checkout"


@bp.get("/checkout/<key>/add")
def choose_more(key: str) -> Response:
    """Choose a plan for one more box, or, with a plan, its interval and answers."""
    rt = runtime()
    order = load(rt, key, "box")
    if not may_add(order):
        return _full(order)
    if request.args.get("plan"):
        more = with_one_more(rt, key)
        return box_page(more, more.items[-1], box_form(more.items[-1]))
    market = market_of_visit(rt)
    page = look(rt, lambda: pricing_page(rt.session, market, rt.today(), rt.moment()))
    return show(
        f"{_FOLDER}/add.html",
        f"{_FOLDER}/_add.html",
        plans=[plan for plan in page.plans if not plan.is_sold_out],
        **shown(order, "box"),
    )


@bp.post("/checkout/<key>/add")
def add(key: str) -> Response:
    """Put one more box into the order, and go on where the shopper was."""
    rt = runtime()
    order = load(rt, key, "box")
    if not may_add(order):
        return _full(order)
    more = with_one_more(rt, key)
    item = more.items[-1]
    form = box_form(item, request.form)
    if not form.validate():
        return box_page(more, item, form, 422)
    done = add_box(rt, key, choice_of(item, form), _version())
    if done is Changed.APART:
        return box_page(more, item, form, 422, _apart())
    _say(done)
    order = load(rt, key)
    return onward(order)


@bp.post("/checkout/<key>/remove")
def remove_box(key: str) -> Response:
    """Take one box off; what is left is priced again."""
    rt = runtime()
    load(rt, key, "box")
    _say(take_off(rt, key, request.form.get("box", "")[:8], _version()))
    return refreshed(load(rt, key), "pay", CodeForm(), 200)


def _full(order: Order) -> Response:
    """Lead back from an order that takes no further box, and say so."""
    if is_alone(order):
        flash(_apart())
    else:
        _say(Changed.FULL)
    return onward(order)


def _version() -> int:
    """Return the order's version as the form showed it; 0, which none has, for anything else."""
    typed = request.form.get("version", "")
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0


def _say(done: Changed) -> None:
    """Say why nothing changed where the page would not show it."""
    if done is Changed.STALE:
        flash(_("Your order changed meanwhile. This is how it stands now."))
    elif done is Changed.FULL:
        flash(_("One order takes %(count)s boxes at most.", count=MOST_BOXES))


def _apart() -> str:
    return _(
        "This box cannot be paid together with the others. Finish this order first, "
        "then order it by itself."
    )
