"""What the engine did and what is wrong, in words for staff: no codes, no jargon.

The log of the staff, the timeline of a subscription and the list of today have their own files.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.domain.money import Money
from storefront.templating import FILTERS


def long_day(value: date | datetime | str) -> str:
    """Return a day as running text has it; also from its ISO text."""
    return str(FILTERS["day"](date.fromisoformat(value) if isinstance(value, str) else value))


def amount(value: Money) -> str:
    """Return a sum with its currency."""
    return str(FILTERS["money"](value))


def decline_reason(code: str) -> str:
    """Return why a payment is not through, as a short remark."""
    known = {
        "": "",
        "card_declined": _("the bank gave no reason"),
        "insufficient_funds": _("not enough money"),
        "expired_card": _("card expired"),
        "lost_card": _("card reported lost"),
        "stolen_card": _("card reported stolen"),
        "authentication_failed": _("the bank could not confirm the person"),
        "never_arrived": _("the question never arrived"),
        "no_answer": _("the gateway did not answer"),
        "held": _("not sent: on hold"),
        "no_consent": _("not sent: no consent on file"),
        "no_method": _("not sent: no card on file"),
        "retry_limit": _("not sent: tried too often"),
        "live_lock": _("not sent: this is a copy of the shop"),
        "nothing_due": _("not sent: nothing is owed"),
        "not_billable": _("not sent: the subscription has ended or pauses"),
        "over_limit": _("not sent: more than the customer agreed to"),
        "notice_missing": _("not sent: the customer was not told yet, or its period ends"),
        "too_early": _("not sent: the customer was told of a later day"),
        "gateway_stopped": _("not sent: the payment partner is stopped"),
        "gateway_slow": _("not sent: the payment partner asked for a pause"),
        "opted_out": _("the customer does not want this debit"),
        "no_usable_card": _("no card that may be charged"),
        "unauthorized": _("the payment partner refused our key"),
        "wrong_certificate": _("the connection was not the payment partner's"),
        "rate_limited": _("the payment partner asked for a pause"),
        "not_sent": _("the payment partner could not be reached"),
    }
    return known.get(code, code.replace("_", " "))


def stopped_gateways(count: int) -> str:
    """Return how many payment partners nothing is sent to."""
    return ngettext(
        "Nothing is sent to %(num)s payment partner any more",
        "Nothing is sent to %(num)s payment partners any more",
        count,
    )


def waiting_charges(count: int) -> str:
    """Return how many planned charges the guard holds back."""
    return ngettext(
        "%(num)s charge waits and is not sent", "%(num)s charges wait and are not sent", count
    )


def box_problem(code: str) -> str:
    """Return what keeps a box from being packed."""
    known = {
        "": "",
        "held": _("subscription on hold"),
        "no_address": _("no address, or nothing is sent there"),
        "no_recipe": _("no recipe for this plan"),
        "short_stock": _("not enough stock"),
        "short_choice": _("not enough to choose from"),
        "not_tolerated": _("holds what the subscriber does not tolerate"),
        "no_fit": _("does not fit the format of the export"),
    }
    return known.get(code, code.replace("_", " "))


def hold_reason(code: str) -> str:
    """Return why a subscription is on hold."""
    known = {
        "dispute": _("The customer disputes a payment"),
        "staff": _("Put on hold by staff"),
        "outage": _("The shop was down when it fell due"),
        "no_consent": _("No consent to renew is on file"),
        "no_method": _("No card is on file"),
        "withdrawal": _("The customer withdrew from the contract"),
    }
    return known.get(code, code.replace("_", " "))


def job_name(code: str) -> str:
    """Return what a job is for."""
    known = {
        "plan_cycles": _("Plan coming cycles"),
        "gateway_events": _("Apply messages of gateways"),
        "look_ups": _("Ask for unknown payments"),
        "expire_checkouts": _("Tidy unfinished orders"),
        "tax_ids": _("Ask for pending VAT numbers"),
        "price_changes": _("Tell of new prices"),
        "renewals": _("Renew subscriptions"),
        "dunning": _("Chase declined payments"),
        "transfers": _("Remind of overdue transfers"),
        "withdrawals": _("Remind of withdrawals to refund"),
        "reminders": _("Remind of the end of pauses and trials"),
        "referrals": _("Give credit for recommendations"),
        "gifts": _("Tell recipients of gifts"),
        "continuing": _("Let recipients of gifts go on"),
        "refunds": _("Send refunds"),
        "parcel_events": _("Apply messages of shipping providers"),
        "shipping_providers": _("Hand boxes to shipping providers, ask where parcels are"),
        "refund_returns": _("Look for refunds that came back"),
        "card_ends": _("Tell customers whose card ends soon"),
        "choice_reminders": _("Remind subscribers to choose"),
        "box_notices": _("Tell subscribers of their next box"),
        "ship_days": _("Tell subscribers of another ship day"),
        "forget_methods": _("Have gateways forget removed cards"),
        "old_messages": _("Delete old messages of gateways"),
        "tidy_files": _("Delete half-written files"),
        "close_cycles": _("Lock cycles"),
        "waiting": _("Invite from waiting lists"),
        "export": _("Export boxes"),
        "papers": _("Make packing slips and labels"),
        "outbox": _("Send messages"),
        "earn_days": _("Book days as earned"),
        "erasures": _("Erase people who asked for it"),
        "retention": _("Blank documents whose time is over"),
        "seal_ledger": _("Seal the ledger"),
        "self_check": _("Check that everything adds up"),
        "comparison": _("Compare payments with the gateways"),
    }
    return known.get(code, code.replace("_", " ").capitalize())


def job_report(report: Mapping[str, Any]) -> str:
    """Return what a run did: "12 charged, 1 parked"; empty when there was nothing to do."""
    words = {
        "claimed": _("looked at"),
        "compared": _("compared"),
        "recorded": _("found at the gateway and recorded"),
        "differences": _("differ"),
        "closed": _("agree again"),
        "billed": _("charged"),
        "skipped": _("skipped"),
        "freed": _("given free days"),
        "added": _("affected by a new price"),
        "told": _("sent a notice of a new price"),
        "card_notices": _("told that their card ends"),
        "refunds_due": _("withdrawals to refund"),
        "to_choose": _("reminded to choose"),
        "forgotten": _("forgotten by the gateway"),
        "deleted": _("deleted"),
        "card_tries": _("tries of cards forgotten"),
        "silent": _("asked again later"),
        "moved": _("now at the new price"),
        "opted_out": _("keep the old price"),
        "gone": _("left before a new price"),
        "ended": _("ended"),
        "held": _("held"),
        "waiting": _("waiting"),
        "invited": _("invited"),
        "over": _("came too late"),
        "parked": _("set aside"),
        "made": _("planned"),
        "opened": _("opened"),
        "seated": _("boxes placed"),
        "delivered": _("sent"),
        "failed": _("failed"),
        "dead": _("given up"),
        "batches": _("files"),
        "expired": _("tidied"),
        "succeeded": _("paid"),
        "declined": _("declined"),
        "unknown": _("unknown"),
        "sent": _("sent"),
        "retried": _("tried again"),
        "lost": _("given up"),
        "periods": _("periods booked"),
        "days": _("days sealed"),
        "asked": _("rules checked"),
        "broken": _("broken"),
    }
    parts = []
    for key, value in report.items():
        counted = value if isinstance(value, int) and not isinstance(value, bool) else 0
        if isinstance(value, Mapping):
            nested = job_report(value)
            if nested:
                parts.append(nested)
        elif counted:
            parts.append(f"{counted} {words.get(key, key.replace('_', ' '))}")
    return ", ".join(parts)


def role_name(code: str, name: str) -> str:
    """Return what a role is called; one that the shop made keeps the name it was given."""
    known = {
        "owner": _("Owner"),
        "fulfilment": _("Fulfilment"),
        "support": _("Support"),
    }
    return known.get(code, name)


def permission_name(code: str) -> str:
    """Return what a permission allows."""
    known = {
        "subscribers.view": _("See customers, their subscriptions and invoices"),
        "subscriptions.manage": _("Change subscriptions for customers"),
        "charging.manage": _("Hold all charging and turn it on"),
        "invoices.manage": _("Refund and write off invoices, charge extras, note transfers"),
        "customers.manage": _("Merge accounts, erase people"),
        "boxes.manage": _("Recipes, locks and files for packing"),
        "exports.download": _("Download files with names and addresses"),
        "products.manage": _("Products, stock and imports"),
        "plans.manage": _("Plans, prices and options"),
        "coupons.manage": _("Promotion codes"),
        "messages.manage": _("Read messages, send them again, stop them"),
        "jobs.manage": _("See the jobs, try failed work again"),
        "accounting.export": _("See the books and export them"),
        "settings.manage": _("Settings and the log of what staff did"),
        "staff.manage": _("Invite and lock out staff, choose their roles"),
        "clock.move": _("Move the clock of a demo shop"),
    }
    return known.get(code, code.replace("_", " ").replace(".", ": "))


def parked_reason(code: str) -> str:
    """Return why work was parked; an unknown error keeps its own name."""
    known = {"no_tax_rate": _("no tax rate is known for where the box goes")}
    return known.get(code, code)


def account_name(code: str) -> str:
    """Return what an account of the ledger holds."""
    known = {
        "receivable": _("Owed by customers"),
        "deferred_revenue": _("Paid in advance, not delivered"),
        "revenue": _("Revenue"),
        "tax_payable": _("Tax to pay"),
        "bank": _("Bank"),
        "customer_credit": _("Credit of customers"),
        "credits_granted": _("Credit given away"),
        "carried_balance": _("Small sums asked for later"),
        "refunds_due": _("Refunds on their way"),
        "dispute_suspense": _("In dispute"),
        "gateway_fees": _("Fees of gateways"),
        "bad_debt": _("Written off"),
    }
    gateway = code.removeprefix("clearing:")
    if gateway != code:
        return _("At the gateway %(name)s", name=gateway)
    return known.get(code, code)


def seal_reason(found: str) -> str:
    """Return what is wrong with a sealed day, told as "2027-03-03: changed"."""
    known = {
        "changed": _("its rows are not what was sealed"),
        "count": _("rows were added or taken away"),
        "missing_seal": _("its seal is missing"),
        "before_the_first": _("it has rows, but the seals begin later"),
    }
    day, _colon, reason = found.partition(": ")
    return f"{day}: {known.get(reason, reason)}"
