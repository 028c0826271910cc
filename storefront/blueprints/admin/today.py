"""The first page: what needs a person now, what comes next, how the engine does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup

from storefront.blueprints.admin import today_words as say
from storefront.blueprints.admin.base import may, page, who
from storefront.blueprints.admin.declines import add_declines
from storefront.blueprints.admin.gateway_events import needs as gateway_needs
from storefront.blueprints.admin.installation import alarms
from storefront.blueprints.admin.waiting import rows_of
from storefront.blueprints.admin.words import (
    box_problem,
    decline_reason,
    job_name,
    job_report,
    stopped_gateways,
)
from storefront.blueprints.context import runtime
from storefront.charts import Point, Series, bar_chart
from storefront.domain import permissions
from storefront.domain.money import Money
from storefront.formats import money, money_short, short_day
from storefront.htmx import go
from storefront.navigation import page_url
from storefront.operations.moment import Moment
from storefront.queries import today as query
from storefront.queries import worklists
from storefront.queries.short_stock import ShortProduct, low_stock
from storefront.security import register_policy, staff
from storefront.services import holds, shop
from storefront.templating import writing_locale

register_policy(
    {
        "admin.today": staff(),
        "admin.worklist": staff(),
        "admin.short_stock": staff(permissions.PRODUCTS_MANAGE),
        "admin.hold_charging": staff(permissions.CHARGING_MANAGE),
        "admin.resume_charging": staff(permissions.CHARGING_MANAGE),
        "admin.release_outage": staff(permissions.CHARGING_MANAGE),
    }
)

#: A worker that has not been heard of for this long is down.
SILENT_AFTER = timedelta(minutes=10)

#: What a role must hold to see a count and its list.
_SEEN_BY = {
    "outage": permissions.CHARGING_MANAGE,
    "late": permissions.JOBS_MANAGE,
    "stopped": permissions.JOBS_MANAGE,
    "unknown": permissions.SUBSCRIBERS_VIEW,
    "waiting": permissions.SUBSCRIBERS_VIEW,
    "boxes": permissions.BOXES_MANAGE,
    "returned": permissions.BOXES_MANAGE,
    "unshipped": permissions.BOXES_MANAGE,
    "unserved": permissions.SUBSCRIBERS_VIEW,
    "gifts": permissions.SUBSCRIBERS_VIEW,
    "asked": permissions.BOXES_MANAGE,
    "declared": permissions.SUBSCRIPTIONS_MANAGE,
    "inquiries": permissions.SUBSCRIBERS_VIEW,
    "parked": permissions.JOBS_MANAGE,
    "overdue": permissions.SUBSCRIBERS_VIEW,
    "past_due": permissions.SUBSCRIBERS_VIEW,
    "dead": permissions.MESSAGES_MANAGE,
    "drafts": permissions.INVOICES_MANAGE,
    "failed": permissions.JOBS_MANAGE,
    "declines": permissions.CHARGING_MANAGE,
    "new": permissions.SUBSCRIBERS_VIEW,
    "left": permissions.SUBSCRIBERS_VIEW,
    "paid": permissions.SUBSCRIBERS_VIEW,
    "declined": permissions.SUBSCRIBERS_VIEW,
    "shipped": permissions.BOXES_MANAGE,
}
_BOX_LISTS = {"boxes", "returned", "shipped", "unshipped"}
#: How a list says what is noted of a row; a reason why charges fail unless it is named.
_DETAILS = dict.fromkeys(_BOX_LISTS, box_problem) | {"unshipped": say.to_ship}
#: Which table of pills the states of a list are in.
_KINDS = {
    "overdue": "invoice",
    "past_due": "invoice",
    "unknown": "payment",
    "waiting": "payment",
    "paid": "payment",
    "declined": "payment",
}


@dataclass(frozen=True, slots=True)
class Need:
    """One line of "Needs you": what is wrong, and the verb that leads to it."""

    tone: str
    icon: str
    text: str
    verb: str
    url: str
    worth: Money | None = None
    since: datetime | None = None


def add_today(bp: Blueprint) -> None:
    """Add the first page and the lists behind its counts."""
    bp.add_url_rule("/", "today", today)
    bp.add_url_rule("/today/short-stock", "short_stock", short_stock)
    add_declines(bp)
    bp.add_url_rule("/today/<code>", "worklist", worklist)
    bp.add_url_rule("/hold-charging", "hold_charging", hold_charging, methods=["GET", "POST"])
    bp.add_url_rule("/resume-charging", "resume_charging", resume_charging, methods=["POST"])
    bp.add_url_rule("/release-outage", "release_outage", release_outage, methods=["POST"])


def today() -> Response:
    """Show the first page."""
    rt = runtime()
    moment = rt.moment()
    facts = query.today(rt.session, moment, rt.shop.currency)
    return page(
        "today/today",
        facts=facts,
        alarms=lambda: alarms(facts.counts["outage"]),
        needs=_needs(facts),
        since=_since(facts.counts),
        failed=say.past_due(facts.counts["past_due"].count) if may(_SEEN_BY["past_due"]) else "",
        cutoff_ends=[_last_second(cut.cutoff_on, moment) for cut in facts.cutoffs],
        chart=_chart(facts),
        week=_week(facts),
        total=sum((day.amount for day in facts.renewals), Money.zero(rt.shop.currency)),
        many=sum(day.count for day in facts.renewals),
        due_today=facts.renewals[0].count,
        silent=facts.worker_at is None or moment.now - facts.worker_at > SILENT_AFTER,
        jobs=[(job, job_name(job.name), job_report(job.report)) for job in facts.jobs],
    )


def worklist(code: str) -> Response:
    """Show the list behind a count of the first page."""
    rt = runtime()
    if code not in worklists.LISTS:
        abort(404)
    if not may(_SEEN_BY[code]):
        abort(403)
    moment = rt.moment()
    counted = worklists.counts(rt.session, moment, rt.shop.currency)[code]
    return page(
        "today/worklist",
        code=code,
        counted=counted,
        title=_list_title(code, counted.count),
        lead=say.LEADS[code](),
        rows=rows_of(code, moment),
        most=worklists.MOST,
        detail=_DETAILS.get(code, decline_reason),
        kind="box" if code in _BOX_LISTS else _KINDS.get(code, "subscription"),
    )


def short_stock() -> Response:
    """Show everything the next boxes need more of than there is."""
    rt = runtime()
    rows = low_stock(rt.session, rt.today(), worklists.MOST)
    return page("today/short_stock", rows=rows, title=say.short(len(rows)))


def hold_charging() -> Response:
    """Ask first, then send no charge until somebody turns it on again."""
    rt = runtime()
    if request.method == "GET":
        days = query.renewal_days(rt.session, rt.today(), rt.shop.currency)
        return page("today/hold_charging", due=days[0])
    shop.hold_charging(rt, who())
    return go(url_for("admin.today"), _("Charging is on hold. No card is charged."))


def resume_charging() -> Response:
    """Let charges go out again."""
    shop.resume_charging(runtime(), who())
    return go(url_for("admin.today"), _("Charging is on again."))


def release_outage() -> Response:
    """Let go what waited because the worker was down."""
    count = holds.release_outage(runtime(), who())
    text = ngettext(
        "%(num)s subscription is released and due now.",
        "%(num)s subscriptions are released and due now.",
        count,
    )
    return go(url_for("admin.today"), text)


def _needs(facts: query.Today) -> list[Need]:
    """Return what needs a person, by money at risk and then by age."""
    counts = facts.counts
    lines = [
        _need(counts["outage"], "outage", "held", "pause", say.held, _("Look and release")),
        _need(counts["stopped"], "stopped", "danger", "warning", stopped_gateways, _("Try again")),
        _need(counts["unknown"], "unknown", "danger", "search", say.unknown, _("Review")),
        _need(counts["late"], "late", "danger", "clock", say.late, _("Look")),
        _need(counts["waiting"], "waiting", "caution", "clock", say.waiting_charges, _("See why")),
        _need(counts["parked"], "parked", "caution", "warning", say.parked, _("Try again")),
        _need(counts["overdue"], "overdue", "caution", "clock", say.overdue, _("Look")),
        _need(counts["boxes"], "boxes", "caution", "box", say.boxes, _("Fix")),
        _need(counts["returned"], "returned", "caution", "undo", say.returned, _("Decide")),
        _need(counts["unshipped"], "unshipped", "caution", "truck", say.unshipped, _("Look")),
        _need(counts["asked"], "asked", "caution", "box", say.late_changes, _("Decide")),
        _need(counts["declared"], "declared", "danger", "mail", say.declarations, _("Decide")),
        _need(counts["inquiries"], "inquiries", "caution", "mail", say.inquiries, _("Answer")),
        _need(counts["unserved"], "unserved", "caution", "truck", say.unserved, _("Look")),
        _need(counts["gifts"], "gifts", "caution", "gift", say.gifts, _("Look")),
        _need(counts["dead"], "dead", "caution", "mail", say.dead, _("Look")),
        _need(counts["drafts"], "drafts", "caution", "receipt", say.old_drafts, _("Look")),
        _need(counts["failed"], "failed", "danger", "warning", say.failed, _("Look")),
    ]
    needs = [line for line in lines if line is not None]
    needs.sort(key=_urgency)
    needs = (
        _books(facts)
        + _declines(facts)
        + [Need(*line) for line in gateway_needs(runtime().session)]
        + needs
    )
    if may(permissions.PRODUCTS_MANAGE):
        needs += [_low(variant) for variant in facts.low[:3]]
        more = len(facts.low) - 3
        if more > 0:
            text = ngettext("%(num)s more runs short", "%(num)s more run short", more)
            url = url_for("admin.short_stock")
            needs.append(Need("caution", "box-open", text, _("See all"), url))
    return needs


def _books(facts: query.Today) -> list[Need]:
    """Return the line that comes before all others: the books do not add up."""
    if not facts.broken_rules:
        return []
    text = ngettext(
        "The nightly check found %(num)s rule that does not hold",
        "The nightly check found %(num)s rules that do not hold",
        facts.broken_rules,
    )
    can_look = may(permissions.ACCOUNTING_EXPORT)
    url = url_for("admin.accounting", _anchor="check") if can_look else ""
    return [Need("danger", "warning", text, _("What to do"), url)]


def _declines(facts: query.Today) -> list[Need]:
    """Return the line about many declined cards; few are nobody's business."""
    counted = facts.counts["declines"]
    if counted.count < runtime().shop.declines_alarm:
        return []
    need = _need(counted, "declines", "danger", "warning", say.many_declines, _("What to do"))
    return [need] if need else []


def _urgency(need: Need) -> tuple[int, float]:
    worth = need.worth.minor if need.worth else 0
    return -worth, need.since.timestamp() if need.since else 0.0


def _need(
    counted: worklists.Counted,
    code: str,
    tone: str,
    icon: str,
    words: Callable[[int], str],
    verb: str,
) -> Need | None:
    if not counted.count or not may(_SEEN_BY[code]):
        return None
    text = words(counted.count)
    return Need(tone, icon, text, verb, _list_url(code), counted.sum, counted.since)


def _list_url(code: str) -> str:
    pages = {
        "parked": ("admin.jobs", {"_anchor": "parked"}),
        "stopped": ("admin.jobs", {"_anchor": "parked"}),
        "failed": ("admin.jobs", {}),
        "declines": ("admin.declines", {}),
        "drafts": ("admin.extra_drafts", {}),
        "asked": ("admin.late_changes", {}),
        "declared": ("admin.declarations", {}),
        "inquiries": ("admin.inquiries", {"state": "open"}),
        "dead": ("admin.outbox", {"state": "dead"}),
    }
    endpoint, values = pages.get(code, ("admin.worklist", {"code": code}))
    return page_url(endpoint, **values)


def _low(variant: ShortProduct) -> Need:
    text = _(
        "%(name)s: %(left)s left, up to %(needed)s needed",
        name=variant.name,
        left=variant.on_hand,
        needed=variant.needed,
    )
    return Need(
        "caution",
        "box-open",
        text,
        _("See stock"),
        page_url("admin.product", product=variant.product),
    )


def _list_title(code: str, count: int) -> str:
    return say.TITLES[code](count)


def _since(counts: dict[str, worklists.Counted]) -> list[tuple[str, int, Money | None, str]]:
    """Return (label, count, sum, address) of what happened since yesterday."""
    labels = {
        "new": _("New subscribers"),
        "left": _("Cancelled"),
        "paid": _("Paid"),
        "declined": _("Declined"),
        "shipped": _("Boxes shipped"),
    }
    return [
        (
            label,
            counts[code].count,
            counts[code].sum if code in {"paid", "declined"} else None,
            _list_url(code),
        )
        for code, label in labels.items()
        if may(_SEEN_BY[code])
    ]


def _chart(facts: query.Today) -> Markup:
    """Draw the renewals of the coming days, each bar a link to whom it counts."""
    locale = writing_locale()
    can_see = may(permissions.SUBSCRIBERS_VIEW)
    points = [
        Point(
            short_day(day.day, locale, facts.renewals[0].day),
            day.amount.minor,
            page_url("admin.subscribers", renews=day.day.isoformat()) if can_see else "",
        )
        for day in facts.renewals
    ]
    currency = facts.renewals[0].amount.currency
    return bar_chart(
        [Series("", points)], unit=lambda minor: money_short(Money(int(minor), currency), locale)
    )


def _week(facts: query.Today) -> list[tuple[str, str | Markup, str]]:
    """Return the chart's table; each count leads to the subscriptions it counts."""
    locale = writing_locale()
    can_see = may(permissions.SUBSCRIBERS_VIEW)
    rows: list[tuple[str, str | Markup, str]] = []
    for day in facts.renewals:
        url = page_url("admin.subscribers", renews=day.day.isoformat()) if can_see else ""
        link = Markup('<a href="{}">{}</a>').format(url, day.count)
        count = link if url and day.count else str(day.count)
        rows.append(
            (short_day(day.day, locale, facts.renewals[0].day), count, money(day.amount, locale))
        )
    return rows


def _last_second(day: date, moment: Moment) -> datetime:
    return moment.start_of(day + timedelta(days=1)) - timedelta(seconds=1)
