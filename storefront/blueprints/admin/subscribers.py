"""Subscribers: find one in seconds, see what the engine does next, act for the customer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account import words as customer_words
from storefront.blueprints.admin.base import may, page, saved, who
from storefront.blueprints.admin.leaving_shown import reasons_shown
from storefront.blueprints.admin.subscriber_filters import file_filters, read_filters
from storefront.blueprints.admin.timeline_words import told
from storefront.blueprints.admin.words import (
    amount,
    decline_reason,
    hold_reason,
    long_day,
    parked_reason,
)
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor
from storefront.htmx import go
from storefront.models.base import public_id
from storefront.pills import pill_of
from storefront.queries import accounts
from storefront.queries import subscriber as one
from storefront.queries import subscribers as query
from storefront.queries.account import SubscriptionView
from storefront.queries.box_rows import BoxRow
from storefront.queries.gifts import given_by_customer
from storefront.queries.pay_links import Asked, waiting_for_customer
from storefront.queries.two_step import has_two_step
from storefront.security import register_policy, staff
from storefront.services import cancellations, holds, pay_links, signin, skips
from storefront.services.credit import currencies_of

_VIEW = staff(permissions.SUBSCRIBERS_VIEW)
_ACT = staff(permissions.SUBSCRIPTIONS_MANAGE)
register_policy(
    {
        "admin.search": _VIEW,
        "admin.subscribers": _VIEW,
        "admin.subscriber": _VIEW,
        "admin.subscription_cancel": _ACT,
        "admin.subscription_undo_cancel": _ACT,
        "admin.subscription_skip": _ACT,
        "admin.subscription_undo_skip": _ACT,
        "admin.subscription_hold": _ACT,
        "admin.subscription_release": _ACT,
        "admin.subscriber_link": _ACT,
        "admin.invoice_link": _ACT,
        "admin.subscription_try_again": staff(permissions.CHARGING_MANAGE),
    }
)


@dataclass(frozen=True, slots=True)
class Next:
    """One thing the engine will do by itself."""

    #: A day or an instant; None when it waits for a person.
    at: date | datetime | None
    text: str
    icon: str = "clock"
    tone: str = "neutral"


def add_subscribers(bp: Blueprint) -> None:
    """Add the list, the page of one customer, and what staff do there."""
    bp.add_url_rule("/search", "search", search)
    bp.add_url_rule("/subscribers", "subscribers", subscribers)
    bp.add_url_rule("/subscribers/<ref>", "subscriber", subscriber)
    bp.add_url_rule(
        "/subscribers/<ref>/sign-in-link", "subscriber_link", send_link, methods=["POST"]
    )
    bp.add_url_rule(
        "/subscribers/<ref>/links/<invoice>", "invoice_link", invoice_link, methods=["POST"]
    )
    base = "/subscribers/<ref>/<sub>"
    actions: dict[str, Callable[..., Response]] = {
        "undo-cancel": undo_cancel,
        "hold": hold,
        "release": release,
        "try-again": try_again,
    }
    for path, view in actions.items():
        name = f"subscription_{path.replace('-', '_')}"
        bp.add_url_rule(f"{base}/{path}", name, view, methods=["POST"])
    bp.add_url_rule(f"{base}/cancel", "subscription_cancel", cancel, methods=["GET", "POST"])
    bp.add_url_rule(f"{base}/skip/<cycle>", "subscription_skip", skip, methods=["POST"])
    bp.add_url_rule(
        f"{base}/undo-skip/<cycle>", "subscription_undo_skip", undo_skip, methods=["POST"]
    )


def search() -> Response:
    """Find anything from the box in the head of every page: one hit opens at once."""
    typed = one_line(request.args.get("q"))
    if not typed:
        return go(url_for("admin.subscribers"))
    found = query.find(runtime().session, query.Filters(q=typed))
    people = {row.customer for row in found.rows}
    if len(people) == 1 and "" not in people:
        return go(url_for("admin.subscriber", ref=people.pop()))
    return go(url_for("admin.subscribers", q=typed))


def subscribers() -> Response:
    """List subscriptions, narrowed by the address alone."""
    rt = runtime()
    filters = read_filters()
    plans = query.plan_choices(rt.session)
    found = query.find(
        rt.session,
        filters,
        after=request.args.get("older", ""),
        before=request.args.get("newer", ""),
    )
    return page(
        "subscribers/subscribers",
        found=found,
        filters=filters,
        plans=plans,
        states=[(code, _state_word(code)) for code in query.STATES],
        chips=_chips(filters, dict(plans)),
        file_url=url_for("admin.subscribers_file", **file_filters(filters)),
        address=_address,
        limit=query.COUNT_LIMIT,
        **reasons_shown((row.ref, row.state) for row in found.rows),
    )


def _address(filters: query.Filters, **cursor: str) -> str:
    return url_for("admin.subscribers", **{**file_filters(filters), **cursor})


def _chips(filters: query.Filters, plans: dict[str, str]) -> list[tuple[str, str]]:
    chips = []
    if filters.q:
        chips.append((_("Search: %(words)s", words=filters.q), replace(filters, q="")))
    if filters.state:
        words = _("State: %(state)s", state=_state_word(filters.state))
        chips.append((words, replace(filters, state="")))
    if filters.plan:
        words = _("Plan: %(plan)s", plan=plans.get(filters.plan, filters.plan))
        chips.append((words, replace(filters, plan="")))
    if filters.renews:
        words = _("Next charge: %(day)s", day=long_day(filters.renews))
        chips.append((words, replace(filters, renews=None)))
    if filters.price:
        chips.append((_("One price only"), replace(filters, price="")))
    return [(label, _address(without)) for label, without in chips]


def _state_word(code: str) -> str:
    words = {
        "parked": _("Renewal failed"),
        "unfinished": _("Not finished"),
        "ending": _("Ending"),
    }
    return words.get(code) or str(pill_of("subscription", code).word)


#: What the form for credit sends; ``once`` names it, so that a second click gives nothing.
CREDIT_FIELDS = ("amount", "currency", "reason", "once")


def subscriber(ref: str) -> Response:
    """Show one customer."""
    return page("subscribers/subscriber", **subscriber_context(ref))


def subscriber_context(ref: str, **more: Any) -> dict[str, Any]:
    """Return what the page of a customer shows; answers 404 where there is none."""
    rt = runtime()
    shop = rt.shop
    found = one.subscriber(
        rt.session, ref, rt.moment(), shop.currency, shop.taxes, tuple(sorted(rt.notices))
    )
    if found is None:
        abort(404)
    fresh = dict.fromkeys(CREDIT_FIELDS, "") | {"once": public_id("once")}
    return {
        "one": found,
        "closed": accounts.closed_of(rt.session, ref),
        "has_two_step": has_two_step(rt.session, ref),
        "credit_typed": fresh,
        "credit_currencies": currencies_of(rt, ref),
        "coming": {view.public_id: _coming(view, found) for view in found.subscriptions},
        "waiting_links": _waiting_links(found.person.id),
        "given": given_by_customer(rt.session, ref),
        "events": [told(event, event.currency or shop.currency) for event in found.events],
        "hold_reason": hold_reason,
        **reasons_shown((view.public_id, view.state) for view in found.subscriptions),
        "credit_origin": customer_words.credit_origin,
        "decline_reason": decline_reason,
        "parked_reason": parked_reason,
        **more,
    }


def _waiting_links(customer_id: int) -> list[tuple[Asked, str]]:
    """Return what waits for the customer's bank, with the link for staff who act for them."""
    rt = runtime()
    root = f"{rt.settings.base_url}{rt.settings.url_prefix}/pay"
    waits = waiting_for_customer(rt.session, customer_id)
    if not may(permissions.SUBSCRIPTIONS_MANAGE):
        return [(asked, "") for asked in waits]
    return [(asked, f"{root}/{pay_links.link(rt, asked.invoice)}") for asked in waits]


def invoice_link(ref: str, invoice: str) -> Response:
    """Mail the link of an invoice to its payer again."""
    rt, customer = runtime(), _customer(ref)
    waits = waiting_for_customer(rt.session, customer.id)
    rt.session.rollback()
    if invoice not in {asked.invoice for asked in waits}:
        abort(404)

    def act() -> str:
        sent = pay_links.send_again(rt, invoice, who())
        return _("The link is on its way.") if sent else _("Nothing is waiting any more.")

    return _act(ref, act)


def _coming(view: SubscriptionView, found: one.Subscriber) -> list[Next]:
    """Return what the engine does next with a subscription, in order."""
    standing = found.standings[view.public_id]
    if view.is_ended:
        return [Next(view.ended_on, _("Ended. Nothing is charged again."), "cross")]
    if standing.held_at:
        why = hold_reason(standing.hold_reason)
        text = _("On hold: %(why)s. Nothing is charged or packed until it is released.", why=why)
        return [Next(None, text, "stop", "held")]
    if standing.parked_id:
        text = _("The renewal failed and waits for a person. Nothing is charged until then.")
        return [Next(None, text, "warning", "danger")]
    steps = [_chase(standing)] if standing.chase_at else []
    if view.next_charge_on and view.next_amount:
        card = f"{view.brand.title()} {view.last4}" if view.last4 else _("no card on file")
        text = _("Charge %(sum)s to %(card)s", sum=amount(view.next_amount), card=card)
        steps.append(Next(view.next_charge_on, text, "card", "info"))
    steps += _box_steps(view.next_box)
    if view.cancel_on:
        steps.append(Next(view.cancel_on, _("It ends; nothing is charged"), "calendar", "caution"))
    return sorted(steps, key=_when)


def _box_steps(box: BoxRow | None) -> list[Next]:
    if box is None or box.ship_from is None or box.state == "skipped":
        return []
    leaves = Next(box.ship_from, _("The next box leaves"), "truck", "positive")
    if box.cutoff_at is None or box.days_left < 0:
        return [leaves]
    return [Next(box.cutoff_at, _("Changes to the next box end"), "lock"), leaves]


def _chase(standing: one.Standing) -> Next:
    if standing.chase == "retry":
        return Next(standing.chase_at, _("Try the declined charge again"), "card", "danger")
    return Next(standing.chase_at, _("Give up: the plan's last step"), "warning", "danger")


def _when(step: Next) -> date:
    if isinstance(step.at, datetime):
        return runtime().day_of(step.at)
    return step.at or date.min


def cancel(ref: str, sub: str) -> Response:
    """Say what cancelling means, then do it."""
    rt, customer = runtime(), _customer(ref)
    if request.method == "GET":
        try:
            quote = cancellations.quote_cancellation(rt, customer.id, sub)
        except DomainError:
            abort(404)
        return page("subscribers/cancel", quote=quote, person=customer, ref=ref, sub=sub)

    def act() -> str:
        note = one_line(request.form.get("note"))
        early = who() if request.form.get("early") == "yes" else None
        done = cancellations.cancel(
            rt, customer.id, sub, why="staff", note=note, actor=Actor.STAFF, early=early
        )
        if not done.changed:
            return _("Already cancelled.")
        if done.at_once:
            return _("Cancelled. It has ended; nothing more is charged.")
        return _("Cancelled. It ends on %(day)s.", day=long_day(done.ends_on))

    message = _try(act)
    return go(url_for("admin.subscriber", ref=ref), message)


def undo_cancel(ref: str, sub: str) -> Response:
    """Take a cancellation back."""
    customer = _customer(ref)

    def act() -> str:
        if cancellations.undo_cancel(runtime(), customer.id, sub, Actor.STAFF):
            return _("The subscription goes on.")
        return _("It was not cancelled any more.")

    return _act(ref, act)


def skip(ref: str, sub: str, cycle: str) -> Response:
    """Skip a box for the customer."""
    customer = _customer(ref)
    return _act(
        ref,
        lambda: customer_words.skipped(
            skips.skip_box(runtime(), customer.id, sub, cycle, Actor.STAFF)
        ),
    )


def undo_skip(ref: str, sub: str, cycle: str) -> Response:
    """Put a skipped box back."""
    customer = _customer(ref)
    return _act(
        ref,
        lambda: customer_words.unskipped(
            skips.undo_skip(runtime(), customer.id, sub, cycle, Actor.STAFF)
        ),
    )


def hold(ref: str, sub: str) -> Response:
    """Neither charge nor pack until it is released."""
    _require(ref, sub)
    note = one_line(request.form.get("note"))
    if not note:
        error = _("Say why, so that the next person knows")
        context = subscriber_context(ref, hold_error=(sub, error))
        return page("subscribers/subscriber", 422, **context)

    def act() -> str:
        if holds.hold(runtime(), who(), sub, note):
            return _("On hold. Nothing is charged or packed until you release it.")
        return _("It is on hold already.")

    return _act(ref, act)


def release(ref: str, sub: str) -> Response:
    """Let a held subscription go on."""
    _require(ref, sub)

    def act() -> str:
        if holds.release(runtime(), who(), sub):
            return _("Released. What fell due meanwhile is due now.")
        return _("It was not on hold any more.")

    return _act(ref, act)


def try_again(ref: str, sub: str) -> Response:
    """Put a failed renewal back into the run."""
    rt, parked_id = runtime(), _require(ref, sub).parked_id

    def act() -> str:
        if parked_id is not None and holds.try_again(rt, who(), parked_id):
            return _("The renewal is due again; the worker takes it in its next run.")
        return _("It is back in the run already.")

    return _act(ref, act)


def send_link(ref: str) -> Response:
    """Mail the customer a link to sign in with."""
    customer = _customer(ref)
    signin.request_link(runtime(), customer.email)
    return saved(
        _("The sign-in link is on its way to %(email)s.", email=customer.email),
        "subscribers/subscriber",
        url_for("admin.subscriber", ref=ref),
        **subscriber_context(ref),
    )


def _customer(ref: str) -> one.Person:
    """Return the customer, or answer 404; leaves no transaction open for the service."""
    rt = runtime()
    found = one.person(rt.session, ref, rt.shop.currency)
    rt.session.rollback()
    if found is None:
        abort(404)
    return found


def _require(ref: str, sub: str) -> one.Standing:
    """Return how the customer's own subscription stands, or answer 404."""
    rt, customer = runtime(), _customer(ref)
    standing = one.standings(rt.session, customer.id).get(sub)
    rt.session.rollback()
    if standing is None:
        abort(404)
    return standing


def _act(ref: str, act: Callable[[], str]) -> Response:
    """Do it and show the customer's page again; a refusal is said, never lost."""
    message = _try(act)
    return saved(
        message,
        "subscribers/subscriber",
        url_for("admin.subscriber", ref=ref),
        **subscriber_context(ref),
    )


def _try(act: Callable[[], str]) -> str:
    try:
        return act()
    except DomainError as error:
        runtime().session.rollback()
        if error.code in {"not_found", "unknown_subscription"}:
            abort(404)
        return _refused(error)


def _refused(error: DomainError) -> str:
    known = {
        "already_ended": _("It has ended; there is nothing to hold."),
        "cancel_too_late": _("It has ended already; a new subscription is needed."),
        "not_started": _("It was never paid for, so there is nothing to cancel."),
    }
    return known.get(error.code) or customer_words.refused(error)
