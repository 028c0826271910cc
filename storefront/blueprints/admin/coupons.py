"""Promotion codes: what they take off, for whom, how often; tried by the function that charges."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from babel import Locale
from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.coupon_forms import TEXTS, BatchForm, CouponForm, NamesForm
from storefront.blueprints.admin.translated import translations_of, typed_translations
from storefront.blueprints.admin.words import amount, long_day
from storefront.blueprints.context import runtime
from storefront.blueprints.intervals import interval_code, interval_from
from storefront.domain import permissions
from storefront.domain.coupons import CouponRule, CouponTerms, Discount, Refusal
from storefront.domain.money import Money, exponent
from storefront.formats import interval_name, interval_per, listing, percent
from storefront.htmx import go
from storefront.operations.shipping import read_delivery
from storefront.queries import codes as batch_query
from storefront.queries import coupons as query
from storefront.security import register_policy, staff
from storefront.services import codes, promotions
from storefront.templating import writing_locale

_ACCESS = staff(permissions.COUPONS_MANAGE)
register_policy(
    {
        f"admin.{name}": _ACCESS
        for name in (
            "coupons",
            "coupon_new",
            "coupon",
            "coupon_archive",
            "coupon_restore",
            "coupon_names",
            "batch_new",
            "batch_switch",
            "batch_codes",
            "code_file",
        )
    }
)
#: Digits that fit the key of any row.
_LONGEST_KEY = 18
_PILLS = {
    "active": ("positive", "check"),
    "waiting": ("info", "calendar"),
    "ended": ("neutral", "cross"),
    "used_up": ("neutral", "check-circle"),
    "archived": ("neutral", "cross"),
}


def add_coupons(bp: Blueprint) -> None:
    """Add the list, a new code, and the page of one with its trial box."""
    bp.add_url_rule("/codes", "coupons", coupon_list)
    bp.add_url_rule("/codes/new", "coupon_new", new, methods=["GET", "POST"])
    bp.add_url_rule("/codes/<ref>", "coupon", coupon)
    bp.add_url_rule("/codes/<ref>/archive", "coupon_archive", archive, methods=["POST"])
    bp.add_url_rule("/codes/<ref>/restore", "coupon_restore", restore, methods=["POST"])
    bp.add_url_rule("/codes/<ref>/names", "coupon_names", save_names, methods=["POST"])
    bp.add_url_rule("/codes/<ref>/batches", "batch_new", new_batch, methods=["POST"])
    bp.add_url_rule("/codes/<ref>/batches/switch", "batch_switch", switch_batch, methods=["POST"])
    bp.add_url_rule("/codes/<ref>/batch", "batch_codes", batch_codes)
    bp.add_url_rule("/codes/<ref>/batch.csv", "code_file", code_file)


def coupon_list() -> Response:
    """List every code with what it does and how often it was used."""
    rt = runtime()
    rows = query.coupon_list(rt.session, rt.shop.currency)
    return page("coupons/coupons", coupons=rows, **_words())


def new() -> Response:
    """Ask for a new code; examples show what it does to a real plan."""
    rt = runtime()
    currency = rt.shop.currency
    plans = query.priced_plans(rt.session, currency)
    form = CouponForm(request.form, currency, plans, _countries())
    if request.method == "POST" and form.validate():
        rt.session.rollback()
        try:
            ref = promotions.add_coupon(rt, who(), form.draft())
        except promotions.CodeExists as error:
            taken = error.params["taken"]
            form.code.errors = [_("There is a code %(code)s already", code=taken)]
        except promotions.EmptyCode:
            form.code.errors = [_("Use letters and digits, 40 at most")]
        except promotions.ImpossibleCoupon as error:
            _say_impossible(form, str(error.params["reason"]))
        else:
            return go(url_for("admin.coupon", ref=ref), _made(form.way.data))
    status = 422 if request.method == "POST" else 200
    return page(
        "coupons/new",
        status,
        form=form,
        currency=currency,
        examples=_examples(plans[0] if plans else None, currency),
    )


def _made(way: str) -> str:
    return {
        "unique": _("Saved. Make its codes below."),
        "automatic": _("Given to everybody it fits from now on."),
    }.get(way, _("The code is accepted from now on."))


def _say_impossible(form: CouponForm, reason: str) -> None:
    """Say beside the field what contradicts another choice."""
    fields = {
        "fee": (form.applies_to_fee, _("Only a percentage or a fixed amount lowers the fee")),
        "once": (form.duration, _("This lowers the first payment only")),
        "first": (form.from_billed, _("This is about the first payment")),
        "loyalty": (
            form.from_billed,
            _("From a later payment on it is for all subscribers: no first orders, no limit each"),
        ),
    }
    field, text = fields.get(reason, (form.kind, _("These choices do not go together")))
    field.errors = [text]


def coupon(ref: str) -> Response:
    """Show one code, what it does to a chosen order, and who used it."""
    return page("coupons/coupon", **_context(ref))


def archive(ref: str) -> Response:
    """Accept a code no more."""
    return _switch(ref, archived=True)


def restore(ref: str) -> Response:
    """Accept an archived code again."""
    return _switch(ref, archived=False)


def _switch(ref: str, *, archived: bool) -> Response:
    change = promotions.archive_coupon if archived else promotions.restore_coupon
    try:
        change(runtime(), who(), ref)
    except promotions.UnknownCoupon:
        abort(404)
    text = (
        _("Archived. Nobody can use it any more; who has it keeps it.")
        if archived
        else _("Accepted again.")
    )
    return saved(text, "coupons/coupon", url_for("admin.coupon", ref=ref), **_context(ref))


def save_names(ref: str) -> Response:
    """Say the name of a discount without a code in other languages."""
    rt, form = runtime(), NamesForm(request.form)
    if not form.validate():
        return page("coupons/coupon", 422, **{**_context(ref), "names_form": form})
    told = translations_of(form, TEXTS, rt.shop.locale)
    try:
        changed = promotions.save_names(rt, who(), ref, told)
    except promotions.UnknownCoupon:
        abort(404)
    text = _("Saved.") if changed else _("Nothing to save: it is all as before.")
    return saved(text, "coupons/coupon", url_for("admin.coupon", ref=ref), **_context(ref))


def new_batch(ref: str) -> Response:
    """Make codes of a campaign."""
    rt, form = runtime(), BatchForm(request.form)
    if not form.validate():
        rt.session.rollback()
        return page("coupons/coupon", 422, **{**_context(ref), "batch_form": form})
    rt.session.rollback()
    try:
        made = codes.make_codes(rt, who(), ref, form.draft())
    except codes.UnknownBatch:
        abort(404)
    except codes.BadBatch:
        form.prefix.errors = [_("Begin with letters or digits")]
        return page("coupons/coupon", 422, **{**_context(ref), "batch_form": form})
    text = ngettext("%(num)s code made.", "%(num)s codes made.", made)
    return saved(text, "coupons/coupon", url_for("admin.coupon", ref=ref), **_context(ref))


def switch_batch(ref: str) -> Response:
    """Accept the codes of a batch no more, or again."""
    on = request.form.get("on") == "1"
    try:
        count = codes.switch_batch(runtime(), who(), ref, request.form.get("batch", ""), on=on)
    except codes.UnknownBatch:
        abort(404)
    text = (
        ngettext("%(num)s code is accepted again.", "%(num)s codes are accepted again.", count)
        if on
        else ngettext("%(num)s code is out of use.", "%(num)s codes are out of use.", count)
    )
    return saved(text, "coupons/coupon", url_for("admin.coupon", ref=ref), **_context(ref))


def batch_codes(ref: str) -> Response:
    """List the codes of a batch with who used each."""
    rt, batch = runtime(), request.args.get("batch", "")[:40]
    found = query.coupon(rt.session, ref, rt.shop.currency)
    typed = request.args.get("above", "")
    above = int(typed) if typed.isdecimal() and len(typed) <= _LONGEST_KEY else 0
    rows = batch_query.codes(rt.session, found.id, batch, above) if found and batch else []
    if found is None or not rows:
        abort(404)
    shown = rows[: batch_query.PAGE]
    return page(
        "coupons/batch",
        coupon=found,
        batch=batch,
        rows=shown,
        above=shown[-1].id if len(rows) > batch_query.PAGE else None,
    )


def code_file(ref: str) -> Response:
    """Give out a batch as a file for the printer or the mailing."""
    rt, batch = runtime(), request.args.get("batch", "")[:40]
    found = query.coupon(rt.session, ref, rt.shop.currency)
    if found is None or not batch:
        abort(404)
    text = "".join(batch_query.code_file(rt.session, found.id, batch))
    response = Response(text, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=f"codes-{found.ref}.csv")
    return response


def _context(ref: str) -> dict[str, Any]:
    rt = runtime()
    currency = rt.shop.currency
    found = query.coupon(rt.session, ref, currency)
    if found is None:
        abort(404)
    plans = query.priced_plans(rt.session, currency)
    return {
        "coupon": found,
        "batches": batch_query.batches(rt.session, found.id),
        "batch_form": BatchForm(),
        "names_form": NamesForm(None, data=typed_translations(found.translations)),
        "translated": tuple(TEXTS),
        "shop_locale": rt.shop.locale,
        "batch_sum": lambda minor: Money(minor, currency),
        "uses": query.uses(rt.session, found.id, currency),
        "most": query.USES,
        "limits": _limits(found, plans),
        **_trial(found, plans),
        **_words(),
    }


def _trial(found: query.CouponRow, plans: list[query.Priced]) -> dict[str, Any]:
    """Read the trial's choices from the address and price them."""
    rt = runtime()
    countries = _countries()
    args = request.args
    country = args.get("country", "")
    country = country if country in dict(countries) else (countries[0][0] if countries else "")
    wanted = (args.get("plan", ""), interval_from(args.get("interval")))
    chosen = next((p for p in plans if (p.plan_code, p.interval) == wanted), None)
    chosen = chosen or next((p for p in plans if p.plan_code == wanted[0]), None)
    chosen = chosen or (plans[0] if plans else None)
    tried = None
    if chosen is not None and country:
        tried = query.try_on(
            found.terms,
            found.rule,
            chosen,
            country,
            rt.today(),
            read_delivery(rt.session),
        )
    return {
        "tried": tried,
        "chosen": chosen,
        "country": country,
        "countries": countries,
        "plan_choices": list({p.plan_code: p.plan_name for p in plans}.items()),
        "interval_choices": [
            (interval_code(p.interval), interval_name(p.interval))
            for p in plans
            if chosen is not None and p.plan_code == chosen.plan_code
        ],
        "interval_code": interval_code,
        "why_not": _why_not,
    }


def _countries() -> list[tuple[str, str]]:
    """Return (code, name) of the countries delivered to, named in the reader's language."""
    names = Locale(writing_locale().language).territories
    return [(code, names.get(code, code)) for code in runtime().shop.countries]


def _words() -> dict[str, Any]:
    return {"what": what, "state_word": _state_word, "state_look": _PILLS, "lasts": lasts}


def what(found: query.CouponRow) -> str:
    """Return what a coupon takes off: "10% off"."""
    return _off(found.terms)


def _off(terms: CouponTerms) -> str:
    discount = terms.discount
    if terms.target == "first_box":
        if discount.amount is None:
            return _("first box free")
        return _("first box for %(sum)s", sum=amount(discount.amount))
    if terms.target == "shipping":
        return _("free delivery")
    if discount.amount is not None:
        off = amount(discount.amount)
    else:
        assert discount.percent is not None
        off = percent(discount.percent, writing_locale())
    if terms.target == "fee":
        return _("%(off)s off the sign-up fee", off=off)
    return _("%(sum)s off", sum=off)


def lasts(found: query.CouponRow) -> str:
    """Return how long it lowers what is paid."""
    nth = found.terms.from_billed
    if nth > 1:
        return _("from payment %(nth)s on", nth=nth)
    if found.duration == "once":
        return _("first payment")
    if found.duration == "forever":
        return _("every payment")
    return ngettext("first %(num)s payment", "first %(num)s payments", found.cycles)


def _state_word(code: str) -> str:
    return {
        "active": _("Accepted"),
        "waiting": _("Not yet"),
        "ended": _("Ended"),
        "used_up": _("Used up"),
        "archived": _("Archived"),
    }[code]


def _limits(found: query.CouponRow, plans: list[query.Priced]) -> list[tuple[str, str]]:
    """Return the coupon's limits in words; what is not limited is not listed."""
    locale = writing_locale()
    rule = found.rule
    names = {p.plan_code: p.plan_name for p in plans}
    rows = []
    if rule.plans:
        rows.append((_("Plans"), listing([names.get(c, c) for c in sorted(rule.plans)], locale)))
    if rule.intervals:
        words = [interval_name(each) for each in sorted(rule.intervals, key=str)]
        rows.append((_("Paid"), listing(words, locale)))
    if rule.countries:
        known = dict(_countries())
        words = [known.get(code, code) for code in sorted(rule.countries)]
        rows.append((_("Countries"), listing(words, locale)))
    if found.first_time_only:
        rows.append((_("Who"), _("First order of a customer only")))
    if found.starts_on:
        rows.append((_("From"), long_day(found.starts_on)))
    if found.ends_on:
        rows.append((_("Last day"), long_day(found.ends_on)))
    if found.max_per_customer:
        times = ngettext("%(num)s time", "%(num)s times", found.max_per_customer)
        rows.append((_("Per customer"), times))
    return rows


def _why_not(code: Refusal) -> str:
    return {
        Refusal.UNKNOWN: _("Nobody knows this code."),
        Refusal.NOT_STARTED: _("It is not accepted yet."),
        Refusal.ENDED: _("It is accepted no more."),
        Refusal.WRONG_PLAN: _("It is not for this plan."),
        Refusal.WRONG_INTERVAL: _("It is not for paying this often."),
        Refusal.WRONG_COUNTRY: _("It is not for this country."),
        Refusal.NOT_FIRST: _("It is for a first order only."),
        Refusal.USED_UP: _("It is used up."),
        Refusal.USED_BY_CUSTOMER: _("This customer has used it."),
        Refusal.HAS_IT: _("The subscription has it already."),
        Refusal.HAS_ANOTHER: _("Another code lowers the subscription."),
        Refusal.FIRST_ONLY: _("It is for the first payment of a new subscription."),
    }[code]


def _examples(priced: query.Priced | None, currency: str) -> dict[str, str]:
    """Return a sentence per kind, worked out on the shop's first plan."""
    if priced is None:
        return {}
    rt = runtime()
    country = next(iter(rt.shop.countries), rt.shop.seller_country)
    five = Money(5 * 10 ** exponent(currency), currency)
    samples = {
        "percent": CouponTerms("", "", Discount("percent", percent=Decimal(10)), 1),
        "fixed": CouponTerms("", "", Discount("fixed", amount=five), 1),
        "free_first_box": CouponTerms(
            "", "", Discount("percent", percent=Decimal(100)), 1, "first_box"
        ),
        "first_box_price": CouponTerms("", "", Discount("fixed", amount=five), 1, "first_box"),
    }
    return {kind: _example(terms, priced, country) for kind, terms in samples.items()}


def _example(terms: CouponTerms, priced: query.Priced, country: str) -> str:
    today = runtime().today()
    tried = query.try_on(terms, CouponRule(), priced, country, today, taxes=runtime().shop.taxes)
    if tried.first is None or tried.later is None:
        return ""
    return _(
        "%(off)s: %(plan)s costs %(new)s instead of %(old)s %(interval)s.",
        off=_off(terms),
        plan=priced.plan_name,
        new=amount(tried.first.quote.total),
        old=amount(tried.later.quote.total),
        interval=interval_per(priced.interval),
    )
