"""The accounts of the double-entry ledger and the kinds of journal.

Every transfer moves one amount from a debit to a credit account, so each journal and the
whole ledger balance by construction. Source: docs/decisions/0004-ledger.md.
"""

from __future__ import annotations

from enum import StrEnum


class JournalKind(StrEnum):
    """The money event a journal books; unique together with the event's id."""

    INVOICE_FINALISED = "invoice_finalised"
    INVOICE_PAID = "invoice_paid"
    CREDIT_APPLIED = "credit_applied"
    CREDIT_NOTE = "credit_note"
    REFUND_DONE = "refund_done"
    REFUND_FAILED = "refund_failed"
    SURPLUS = "surplus"
    CREDIT_GRANTED = "credit_granted"
    BOX_EARNED = "box_earned"
    DAYS_EARNED = "days_earned"
    WRITTEN_OFF = "written_off"
    AMOUNT_CARRIED = "amount_carried"
    BOX_FORFEITED = "box_forfeited"
    GATEWAY_FEE = "gateway_fee"
    PAYOUT = "payout"
    REVERSAL = "reversal"


RECEIVABLE = "receivable"
DEFERRED_REVENUE = "deferred_revenue"
REVENUE = "revenue"
TAX_PAYABLE = "tax_payable"
BANK = "bank"
CUSTOMER_CREDIT = "customer_credit"
CREDITS_GRANTED = "credits_granted"
CARRIED_BALANCE = "carried_balance"
REFUNDS_DUE = "refunds_due"
DISPUTE_SUSPENSE = "dispute_suspense"
GATEWAY_FEES = "gateway_fees"
BAD_DEBT = "bad_debt"


def clearing(gateway: str) -> str:
    """Return the clearing account of ``gateway``; money that came by bank goes to ``bank``."""
    return BANK if gateway == "manual" else f"clearing:{gateway}"
