"""The page of one plan: its forms, and how it answers what is sent from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, abort, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, saved
from storefront.blueprints.admin.plan_forms import (
    TEXTS,
    NameForm,
    OptionForm,
    QuestionForm,
    RhythmForm,
    RulesForm,
    TextForm,
)
from storefront.blueprints.admin.plan_prices import (
    place_of,
    price_forms,
    sold_as,
    surcharge_forms,
)
from storefront.blueprints.admin.translated import typed_translations
from storefront.blueprints.context import external_url, runtime
from storefront.blueprints.intervals import interval_code
from storefront.domain.errors import DomainError
from storefront.operations.checkout import Market
from storefront.queries import plans as query
from storefront.queries.pricing import plan_page


def act_on(ref: str, act: Callable[[], str]) -> Response:
    """Show what ``act`` says; what there is not is not found."""
    try:
        return show_plan(ref, act())
    except DomainError:
        abort(404)


def show_plan(ref: str, message: str) -> Response:
    """Show the page again with what was done."""
    return saved(message, "plans/plan", url_for("admin.plan", ref=ref), **context_of(ref))


def show_wrong(ref: str, **forms: Any) -> Response:
    """Show the page again with what was typed and what is wrong with it."""
    runtime().session.rollback()
    context = context_of(ref)
    context["prices"] |= forms.pop("prices", {})
    context["answers"] |= forms.pop("answers", {})
    context["surcharges"] |= forms.pop("surcharges", {})
    context["names"] |= forms.pop("names", {})
    context |= forms
    context["wrong"] = next(
        (form for form in _forms(context) if getattr(form, "errors", None)), None
    )
    return page("plans/plan", 422, **context)


def _forms(context: dict[str, Any]) -> list[Any]:
    single = [context[name] for name in ("text", "rules", "rhythm", "question")]
    several = ("prices", "answers", "surcharges", "names")
    return [*single, *(form for name in several for form in context[name].values())]


def context_of(ref: str) -> dict[str, Any]:
    """Return what the page of a plan needs."""
    rt = runtime()
    currency = rt.shop.currency
    found = query.plan_detail(rt.session, ref, currency)
    if found is None:
        abort(404)
    market, codes = Market.of(rt.shop), (found.access_code,)
    live = plan_page(rt.session, found.code, market, rt.today(), codes=codes)
    return {
        "plan": found,
        "live": live.plan if live else None,
        "private_link": _private_link(found),
        "currency": currency,
        "countries": rt.shop.countries,
        "text": _text_form(found),
        "rules": _rules_form(found),
        "rhythm": RhythmForm(
            None,
            group_choices(),
            {"shipping": interval_code(found.shipping), "group": found.group},
        ),
        "prices": price_forms(found, currency),
        "question": QuestionForm(None),
        "answers": {
            each.code: OptionForm(None, currency, prefix=f"{each.code}-")
            for each in found.questions
        },
        "surcharges": surcharge_forms(found, currency),
        "names": _name_forms(found),
        "shop_locale": rt.shop.locale,
        "translated": list(TEXTS),
        "sold_as": sold_as,
        "place_of": place_of,
        "wrong": None,
    }


def _private_link(found: query.PlanDetail) -> str:
    """Return what the merchant gives out; empty where everybody may see the plan."""
    if found.is_public or not found.access_code:
        return ""
    return external_url("pricing.private", code=found.access_code)


def _name_forms(found: query.PlanDetail) -> dict[str, NameForm]:
    """Return a form per question and per answer, by what they go by."""
    now: dict[str, query.QuestionRow | query.OptionRow] = {}
    for each in found.questions:
        now[each.code] = each
        now |= {f"{each.code}.{option.code}": option for option in each.options}
    return {key: NameForm(None, key, one.name, one.translations) for key, one in now.items()}


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
            "access_code": found.access_code,
            "position": str(found.position),
            **typed_translations(found.translations),
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


def group_choices() -> list[tuple[str, str]]:
    """Return the cycle groups to choose from."""
    rt = runtime()
    groups = query.group_list(rt.session, rt.today())
    return [(group.ref, group.name) for group in groups] + [("", _("Nothing is shipped"))]
