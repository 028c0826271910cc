"""Plans and prices: what is sold, what it says, what it costs from now on."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.plan_forms import (
    TEXTS,
    PlanForm,
    PriceForm,
    RhythmForm,
    RulesForm,
    TextForm,
    slug_of,
)
from storefront.blueprints.admin.plan_page import (
    act_on,
    context_of,
    group_choices,
    show_plan,
    show_wrong,
)
from storefront.blueprints.admin.plan_prices import (
    keeping,
    reprice_form,
    sold_everywhere,
)
from storefront.blueprints.admin.translated import translations_of
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import several_lines
from storefront.domain import permissions
from storefront.domain.access_codes import access_code
from storefront.domain.errors import DomainError
from storefront.htmx import go
from storefront.operations.catalogue import UnknownPlan, UnknownPrice
from storefront.queries import plans as query
from storefront.security import register_policy, staff
from storefront.services import plan_terms, plans

_ACCESS = staff(permissions.PLANS_MANAGE)
register_policy(
    {
        f"admin.{name}": _ACCESS
        for name in (
            "plans",
            "plan_new",
            "plan",
            "plan_text",
            "plan_rules",
            "plan_rhythm",
            "plan_price",
            "plan_price_retire",
            "plan_archive",
            "plan_restore",
        )
    }
)


def add_plans(bp: Blueprint) -> None:
    """Add the list, a new plan, and the sections of a plan's page."""
    bp.add_url_rule("/plans", "plans", plan_list)
    bp.add_url_rule("/plans/new", "plan_new", new, methods=["GET", "POST"])
    bp.add_url_rule("/plans/<ref>", "plan", plan)
    posts: dict[str, tuple[str, Callable[..., Response]]] = {
        "text": ("plan_text", save_text),
        "rules": ("plan_rules", save_rules),
        "rhythm": ("plan_rhythm", save_rhythm),
        "prices": ("plan_price", set_price),
        "prices/<price>/retire": ("plan_price_retire", retire_price),
        "archive": ("plan_archive", archive),
        "restore": ("plan_restore", restore),
    }
    for path, (endpoint, view) in posts.items():
        bp.add_url_rule(f"/plans/<ref>/{path}", endpoint, view, methods=["POST"])


def plan_list() -> Response:
    """List every plan with its prices and how many run on it."""
    rt = runtime()
    groups = query.group_list(rt.session, rt.today())
    return page("plans/plans", plans=query.plan_list(rt.session), groups=groups)


def new() -> Response:
    """Ask for a new plan; the first price comes with it."""
    rt = runtime()
    currency = rt.shop.currency
    form = PlanForm(request.form, group_choices(), currency)
    if request.method == "GET":
        return page("plans/new", form=form, currency=currency)
    code = slug_of(form.name.text)
    if form.validate():
        rt.session.rollback()
        draft = plans.PlanDraft(
            code=code,
            name=form.name.text,
            shipping=form.shipping.interval,
            group=form.group.data or "",
            tax_class=form.tax_class.data,
            tagline=form.tagline.text,
            amount=form.amount.money,
            billing=form.billing.interval,
        )
        try:
            ref = plans.add_plan(rt, who(), draft)
        except plans.CodeTaken:
            form.name.errors = [_("There is a plan of this name already")]
        except plans.PriceIsZero:
            form.amount.errors = [_no_price()]
        except plans.RhythmDoesNotFit:
            form.shipping.errors = [_no_rhythm()]
        except plans.IntervalDoesNotFit:
            form.billing.errors = [_no_fit()]
        else:
            return go(url_for("admin.plan", ref=ref), _("The plan is on sale."))
    return page("plans/new", 422, form=form, currency=currency)


def plan(ref: str) -> Response:
    """Show everything of one plan, each section with its own button."""
    return page("plans/plan", **context_of(ref))


def save_text(ref: str) -> Response:
    """Save what the plan says."""
    form = TextForm(request.form)
    if not form.validate():
        return show_wrong(ref, text=form)
    values = {
        "name": form.name.text,
        "tagline": form.tagline.text,
        "description": several_lines(form.description.data),
        "benefits": list(form.benefits.lines),
        "translations": translations_of(form, TEXTS, runtime().shop.locale),
        "is_recommended": form.is_recommended.data,
        "is_public": form.is_public.data,
        "access_code": access_code(form.access_code.text) or None,
    }
    if form.position.number is not None:
        values["position"] = form.position.number
    try:
        message = _saved(plans.save_plan(runtime(), who(), ref, values))
    except plans.AccessCodeTaken:
        form.access_code.errors = [_("Another plan is opened by this code")]
        return show_wrong(ref, text=form)
    except DomainError:
        abort(404)
    return show_plan(ref, message)


def save_rules(ref: str) -> Response:
    """Save tax class and chase."""
    form = RulesForm(request.form)
    if not form.validate():
        return show_wrong(ref, rules=form)
    values = {
        "tax_class": form.tax_class.data,
        "retry_days": form.days or [],
        "last_action": form.last_action.data,
        "retry_minute": form.minute,
    }
    return act_on(ref, lambda: _saved(plans.save_plan(runtime(), who(), ref, values)))


def save_rhythm(ref: str) -> Response:
    """Change how often a box leaves, as long as nobody subscribes."""
    rt = runtime()
    form = RhythmForm(request.form, group_choices())
    rt.session.rollback()
    if not form.validate():
        return show_wrong(ref, rhythm=form)
    try:
        changed = plans.change_rhythm(rt, who(), ref, form.shipping.interval, form.group.data or "")
    except plans.PlanInUse:
        form.shipping.errors = [_("People subscribe to this plan, so its rhythm stays")]
    except plans.RhythmDoesNotFit:
        form.shipping.errors = [_no_rhythm()]
    except plans.IntervalDoesNotFit:
        form.shipping.errors = [_no_fit()]
    except UnknownPlan:
        abort(404)
    else:
        return show_plan(ref, _saved(changed))
    return show_wrong(ref, rhythm=form)


def set_price(ref: str) -> Response:
    """Sell at a new price from now on; who subscribes keeps theirs."""
    if "for" in request.form:
        return _reprice(ref, request.form["for"])
    rt = runtime()
    form = PriceForm(request.form, rt.shop.currency)
    if not form.validate():
        return show_wrong(ref, prices={"": form})
    found = query.plan_detail(rt.session, ref, rt.shop.currency)
    rt.session.rollback()
    sold = sold_everywhere(found, form.billing.interval, rt.shop.currency) if found else None
    if sold and sold.amount != form.amount.money:
        form.billing.errors = [_("That is on sale already. Change its price above")]
        return show_wrong(ref, prices={"": form})
    try:
        changed = plans.set_price(rt, who(), ref, form.amount.money, form.billing.interval)
    except plans.PriceIsZero:
        form.amount.errors = [_no_price()]
        return show_wrong(ref, prices={"": form})
    except plans.IntervalDoesNotFit:
        form.billing.errors = [_no_fit()]
        return show_wrong(ref, prices={"": form})
    except UnknownPlan:
        abort(404)
    return show_plan(ref, _priced(changed))


def _reprice(ref: str, sold: str) -> Response:
    """Change one price that is on sale: its country, currency and interval stay."""
    rt = runtime()
    found = query.plan_detail(rt.session, ref, rt.shop.currency)
    price = next((one for one in found.prices if one.ref == sold), None) if found else None
    if price is None:
        abort(404)
    form = reprice_form(price, typed=request.form)
    if not form.validate():
        return show_wrong(ref, prices={sold: form})
    rt.session.rollback()
    try:
        changed = plan_terms.reprice(rt, who(), ref, sold, form.amount.money.minor)
    except plan_terms.ImpossiblePrice as error:
        form.amount.errors = [_no_price() if error.params["reason"] == "zero" else _intro_first()]
        return show_wrong(ref, prices={sold: form})
    except UnknownPrice:
        return show_plan(ref, _("That price is sold no more. Look at the prices on sale now."))
    except UnknownPlan:
        abort(404)
    return show_plan(ref, _priced(changed, keeping(price)))


def _priced(changed: bool, keep: str = "") -> str:
    if not changed:
        return _("That is the price already.")
    return " ".join(filter(None, [_("Applies to new sales from now."), keep]))


def retire_price(ref: str, price: str) -> Response:
    """Sell a price no more."""

    def act() -> str:
        plans.retire_price(runtime(), who(), ref, price)
        return _("No longer sold. Who subscribes at it keeps it.")

    return act_on(ref, act)


def archive(ref: str) -> Response:
    """Take a plan off sale; it can be put back on the same page."""

    def act() -> str:
        plans.archive_plan(runtime(), who(), ref)
        return _("Archived. Nobody can choose it; who subscribes keeps it.")

    return act_on(ref, act)


def restore(ref: str) -> Response:
    """Put an archived plan back on sale."""

    def act() -> str:
        plans.restore_plan(runtime(), who(), ref)
        return _("On sale again.")

    return act_on(ref, act)


def _saved(changed: bool) -> str:
    return _("Saved.") if changed else _("Nothing to save: it is all as before.")


def _no_fit() -> str:
    return _("Must be a whole multiple of how often a box leaves, such as every 3 months")


def _intro_first() -> str:
    return _("Must be above its introductory price. Change that in the price list first")


def _no_price() -> str:
    return _("A price is above 0. To give boxes away, make a code or a trial")


def _no_rhythm() -> str:
    return _("The plans it is packed with leave at another rhythm. Choose theirs, or another group")
