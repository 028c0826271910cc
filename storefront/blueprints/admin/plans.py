"""Plans and prices: what is sold, what it says, what it costs from now on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.plan_forms import (
    OptionForm,
    PlanForm,
    PriceForm,
    QuestionForm,
    RhythmForm,
    RulesForm,
    SurchargeForm,
    TextForm,
    slug_of,
)
from storefront.blueprints.admin.plan_prices import (
    keeping,
    place_of,
    price_forms,
    reprice_form,
    sold_as,
    sold_everywhere,
    surcharge_forms,
)
from storefront.blueprints.context import runtime
from storefront.blueprints.intervals import interval_code
from storefront.blueprints.typed import several_lines
from storefront.domain import permissions
from storefront.domain.errors import DomainError
from storefront.htmx import go
from storefront.operations.catalogue import UnknownPlan, UnknownPrice
from storefront.operations.checkout import Market
from storefront.queries import plans as query
from storefront.queries.pricing import plan_page
from storefront.security import register_policy, staff
from storefront.services import options, plan_terms, plans

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
            "plan_question",
            "plan_option",
            "plan_option_change",
            "plan_option_price",
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
        "questions": ("plan_question", add_question),
        "questions/<question>": ("plan_option", add_option),
        "questions/<question>/<option>": ("plan_option_change", change_option),
        "questions/<question>/<option>/price": ("plan_option_price", price_option),
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
    form = PlanForm(request.form, _group_choices(), currency)
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
    return page("plans/plan", **_context(ref))


def save_text(ref: str) -> Response:
    """Save what the plan says."""
    form = TextForm(request.form)
    if not form.validate():
        return _wrong(ref, text=form)
    values = {
        "name": form.name.text,
        "tagline": form.tagline.text,
        "description": several_lines(form.description.data),
        "benefits": list(form.benefits.lines),
        "is_recommended": form.is_recommended.data,
        "is_public": form.is_public.data,
    }
    if form.position.number is not None:
        values["position"] = form.position.number
    return _act(ref, lambda: _saved(plans.save_plan(runtime(), who(), ref, values)))


def save_rules(ref: str) -> Response:
    """Save tax class and chase."""
    form = RulesForm(request.form)
    if not form.validate():
        return _wrong(ref, rules=form)
    values = {
        "tax_class": form.tax_class.data,
        "retry_days": form.days or [],
        "last_action": form.last_action.data,
        "retry_minute": form.minute,
    }
    return _act(ref, lambda: _saved(plans.save_plan(runtime(), who(), ref, values)))


def save_rhythm(ref: str) -> Response:
    """Change how often a box leaves, as long as nobody subscribes."""
    rt = runtime()
    form = RhythmForm(request.form, _group_choices())
    rt.session.rollback()
    if not form.validate():
        return _wrong(ref, rhythm=form)
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
        return _show(ref, _saved(changed))
    return _wrong(ref, rhythm=form)


def set_price(ref: str) -> Response:
    """Sell at a new price from now on; who subscribes keeps theirs."""
    if "for" in request.form:
        return _reprice(ref, request.form["for"])
    rt = runtime()
    form = PriceForm(request.form, rt.shop.currency)
    if not form.validate():
        return _wrong(ref, prices={"": form})
    found = query.plan_detail(rt.session, ref, rt.shop.currency)
    rt.session.rollback()
    sold = sold_everywhere(found, form.billing.interval, rt.shop.currency) if found else None
    if sold and sold.amount != form.amount.money:
        form.billing.errors = [_("That is on sale already. Change its price above")]
        return _wrong(ref, prices={"": form})
    try:
        changed = plans.set_price(rt, who(), ref, form.amount.money, form.billing.interval)
    except plans.PriceIsZero:
        form.amount.errors = [_no_price()]
        return _wrong(ref, prices={"": form})
    except plans.IntervalDoesNotFit:
        form.billing.errors = [_no_fit()]
        return _wrong(ref, prices={"": form})
    except UnknownPlan:
        abort(404)
    return _show(ref, _priced(changed))


def _reprice(ref: str, sold: str) -> Response:
    """Change one price that is on sale: its country, currency and interval stay."""
    rt = runtime()
    found = query.plan_detail(rt.session, ref, rt.shop.currency)
    price = next((one for one in found.prices if one.ref == sold), None) if found else None
    if price is None:
        abort(404)
    form = reprice_form(price, typed=request.form)
    if not form.validate():
        return _wrong(ref, prices={sold: form})
    rt.session.rollback()
    try:
        changed = plan_terms.reprice(rt, who(), ref, sold, form.amount.money.minor)
    except plan_terms.ImpossiblePrice as error:
        form.amount.errors = [_no_price() if error.params["reason"] == "zero" else _intro_first()]
        return _wrong(ref, prices={sold: form})
    except UnknownPrice:
        return _show(ref, _("That price is sold no more. Look at the prices on sale now."))
    except UnknownPlan:
        abort(404)
    return _show(ref, _priced(changed, keeping(price)))


def _priced(changed: bool, keep: str = "") -> str:
    if not changed:
        return _("That is the price already.")
    return " ".join(filter(None, [_("Applies to new sales from now."), keep]))


def retire_price(ref: str, price: str) -> Response:
    """Sell a price no more."""

    def act() -> str:
        plans.retire_price(runtime(), who(), ref, price)
        return _("No longer sold. Who subscribes at it keeps it.")

    return _act(ref, act)


def add_question(ref: str) -> Response:
    """Ask something about the box."""
    form = QuestionForm(request.form)
    if not form.validate():
        return _wrong(ref, question=form)
    name = form.question.text
    try:
        options.add_question(runtime(), who(), ref, slug_of(name), name)
    except options.OptionExists:
        form.question.errors = [_("This plan asks that already")]
        return _wrong(ref, question=form)
    except UnknownPlan:
        abort(404)
    return _show(ref, _("Now add the answers; without them nothing is asked."))


def add_option(ref: str, question: str) -> Response:
    """Add an answer to a question."""
    rt = runtime()
    form = OptionForm(request.form, rt.shop.currency, prefix=f"{question}-")
    if not form.validate():
        return _wrong(ref, answers={question: form})
    name = form.option.text
    try:
        options.add_option(rt, who(), ref, question, slug_of(name), name, form.surcharge.money)
    except options.OptionExists:
        form.option.errors = [_("This question has that answer already")]
        return _wrong(ref, answers={question: form})
    except (UnknownPlan, options.UnknownOption):
        abort(404)
    return _show(ref, _("Added."))


def change_option(ref: str, question: str, option: str) -> Response:
    """Offer an answer no more, or again."""
    archived = request.form.get("archived") == "yes"

    def act() -> str:
        options.archive_option(runtime(), who(), ref, question, option, archived=archived)
        return _("No longer offered.") if archived else _("Offered again.")

    return _act(ref, act)


def price_option(ref: str, question: str, option: str) -> Response:
    """Change what an answer costs, from each subscriber's next payment on."""
    rt, key = runtime(), f"{question}.{option}"
    form = SurchargeForm(request.form, rt.shop.currency, prefix=f"{key}-")
    if not form.validate():
        return _wrong(ref, surcharges={key: form})

    def act() -> str:
        options.save_option(rt, who(), ref, question, option, form.surcharge.money)
        return _("Saved. It counts from each subscriber's next payment on.")

    return _act(ref, act)


def archive(ref: str) -> Response:
    """Take a plan off sale; it can be put back on the same page."""

    def act() -> str:
        plans.archive_plan(runtime(), who(), ref)
        return _("Archived. Nobody can choose it; who subscribes keeps it.")

    return _act(ref, act)


def restore(ref: str) -> Response:
    """Put an archived plan back on sale."""

    def act() -> str:
        plans.restore_plan(runtime(), who(), ref)
        return _("On sale again.")

    return _act(ref, act)


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


def _act(ref: str, act: Callable[[], str]) -> Response:
    try:
        return _show(ref, act())
    except DomainError:
        abort(404)


def _show(ref: str, message: str) -> Response:
    return saved(message, "plans/plan", url_for("admin.plan", ref=ref), **_context(ref))


def _wrong(ref: str, **forms: Any) -> Response:
    """Show the page again with what was typed and what is wrong with it."""
    runtime().session.rollback()
    context = _context(ref)
    context["prices"] |= forms.pop("prices", {})
    context["answers"] |= forms.pop("answers", {})
    context["surcharges"] |= forms.pop("surcharges", {})
    context |= forms
    context["wrong"] = next(
        (form for form in _forms(context) if getattr(form, "errors", None)), None
    )
    return page("plans/plan", 422, **context)


def _forms(context: dict[str, Any]) -> list[Any]:
    single = [context[name] for name in ("text", "rules", "rhythm", "question")]
    several = ("prices", "answers", "surcharges")
    return [*single, *(form for name in several for form in context[name].values())]


def _context(ref: str) -> dict[str, Any]:
    rt = runtime()
    currency = rt.shop.currency
    found = query.plan_detail(rt.session, ref, currency)
    if found is None:
        abort(404)
    live = plan_page(rt.session, found.code, Market.of(rt.shop), rt.today())
    return {
        "plan": found,
        "live": live.plan if live else None,
        "currency": currency,
        "countries": rt.shop.countries,
        "text": _text_form(found),
        "rules": _rules_form(found),
        "rhythm": RhythmForm(
            None,
            _group_choices(),
            {"shipping": interval_code(found.shipping), "group": found.group},
        ),
        "prices": price_forms(found, currency),
        "question": QuestionForm(None),
        "answers": {
            each.code: OptionForm(None, currency, prefix=f"{each.code}-")
            for each in found.questions
        },
        "surcharges": surcharge_forms(found, currency),
        "sold_as": sold_as,
        "place_of": place_of,
        "wrong": None,
    }


def _text_form(found: query.PlanDetail) -> TextForm:
    return TextForm(
        None,
        data={
            "name": found.name,
            "tagline": found.tagline,
            "description": found.description,
            "benefits": "\n".join(found.benefits),
            "is_recommended": found.is_recommended,
            "is_public": found.is_public,
            "position": str(found.position),
        },
    )


def _rules_form(found: query.PlanDetail) -> RulesForm:
    return RulesForm(
        None,
        data={
            "tax_class": found.tax_class,
            "retry_days": ", ".join(str(day) for day in found.retry_days),
            "last_action": found.last_action,
            "retry_time": f"{found.retry_minute // 60:02d}:{found.retry_minute % 60:02d}",
        },
    )


def _group_choices() -> list[tuple[str, str]]:
    rt = runtime()
    groups = query.group_list(rt.session, rt.today())
    return [(group.ref, group.name) for group in groups] + [("", _("Nothing is shipped"))]
