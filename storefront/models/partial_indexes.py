"""The partial indexes of the schema, all in one place.

Alembic's batch rebuild on SQLite drops them silently as it does triggers: see ``triggers.py``.
"""

from __future__ import annotations

#: Partial unique and partial indexes: name -> (table, "(columns) WHERE …", unique).
PARTIAL_INDEXES: dict[str, tuple[str, str, bool]] = {
    "ix_subscription_due": (
        "subscription",
        "(renews_at, id) WHERE renews_at IS NOT NULL AND parked_at IS NULL AND held_at IS NULL",
        False,
    ),
    "ix_subscription_ending": (
        "subscription",
        "(cancel_on) WHERE cancel_on IS NOT NULL AND ended_on IS NULL",
        False,
    ),
    "uq_subscription_checkout": (
        "subscription",
        "(checkout_id, checkout_position) WHERE checkout_id IS NOT NULL",
        True,
    ),
    "ix_ship_day_notice_open": ("ship_day_notice", "(due_at) WHERE done_at IS NULL", False),
    "uq_invoice_number": ("invoice", "(series, number) WHERE number IS NOT NULL", True),
    "uq_invoice_line_period": (
        "invoice_line",
        "(period_id) WHERE kind = 'plan' AND NOT is_void AND period_id IS NOT NULL",
        True,
    ),
    "uq_charge_attempt_open": (
        "charge_attempt",
        "(invoice_id) WHERE state IN ('planned','sent','action_required','pending','unknown')",
        True,
    ),
    "uq_charge_attempt_settles": ("charge_attempt", "(invoice_id) WHERE settles", True),
    "ix_charge_attempt_check": (
        "charge_attempt",
        "(check_at, id) WHERE check_at IS NOT NULL",
        False,
    ),
    "ix_charge_attempt_gateway_reference": (
        "charge_attempt",
        "(gateway_reference) WHERE gateway_reference <> ''",
        False,
    ),
    "ix_charge_attempt_planned": ("charge_attempt", "(id) WHERE state = 'planned'", False),
    "ix_refund_open": (
        "refund",
        "(id) WHERE state IN ('planned','sent','pending','unknown')",
        False,
    ),
    "ix_refund_again": (
        "refund",
        "(check_at, id) WHERE state = 'succeeded' AND check_at IS NOT NULL",
        False,
    ),
    "ix_refund_gateway_reference": (
        "refund",
        "(gateway_reference) WHERE gateway_reference <> ''",
        False,
    ),
    "ix_gateway_setup_gateway_reference": (
        "gateway_setup",
        "(gateway_reference) WHERE gateway_reference <> ''",
        False,
    ),
    "uq_payment_method_default": (
        "payment_method",
        "(customer_id) WHERE is_default AND detached_at IS NULL",
        True,
    ),
    "uq_payment_method_backup": (
        "payment_method",
        "(customer_id) WHERE is_backup AND detached_at IS NULL",
        True,
    ),
    "ix_payment_method_forget": (
        "payment_method",
        "(forget_at) WHERE forget_at IS NOT NULL",
        False,
    ),
    "ix_gateway_event_waiting": (
        "gateway_event",
        "(try_at, id) WHERE state = 'waiting'",
        False,
    ),
    "ix_provider_parcel_due": (
        "provider_parcel",
        "(try_at, id) WHERE try_at IS NOT NULL",
        False,
    ),
    "ix_provider_parcel_reference": (
        "provider_parcel",
        "(provider_reference) WHERE provider_reference <> ''",
        False,
    ),
    "ix_parcel_event_waiting": (
        "parcel_event",
        "(try_at, id) WHERE state = 'waiting'",
        False,
    ),
    "uq_subscription_imported": (
        "subscription",
        "(imported_from, imported_id) WHERE imported_id <> ''",
        True,
    ),
    "ix_dunning_case_due": ("dunning_case", "(next_at, id) WHERE state = 'open'", False),
    "ix_dunning_case_warn": (
        "dunning_case",
        "(warn_at, id) WHERE state = 'open' AND warn_at IS NOT NULL",
        False,
    ),
    "uq_box_period": (
        "box",
        "(period_id, ordinal) WHERE kind = 'regular' AND state <> 'canceled'",
        True,
    ),
    "uq_box_cycle": (
        "box",
        (
            "(subscription_id, cycle_id)"
            " WHERE kind = 'regular' AND state <> 'canceled' AND cycle_id IS NOT NULL"
        ),
        True,
    ),
    "uq_box_replaces": (
        "box",
        "(replaces_id) WHERE replaces_id IS NOT NULL AND state <> 'canceled'",
        True,
    ),
    "uq_late_change_open": ("late_change", "(box_id) WHERE state = 'open'", True),
    "ix_batch_paper_waiting": ("batch_paper", "(id) WHERE made_at IS NULL", False),
    "ix_box_unassigned": ("box", "(id) WHERE cycle_id IS NULL", False),
    "ix_box_return_open": ("box_return", "(box_id) WHERE settled_at IS NULL", False),
    "uq_recipe_cycle": (
        "recipe",
        "(cycle_id, plan_id, option_key) WHERE cycle_id IS NOT NULL",
        True,
    ),
    "uq_recipe_standing": ("recipe", "(plan_id, option_key) WHERE cycle_id IS NULL", True),
    "uq_stock_move_item": (
        "stock_move",
        "(box_item_id, kind) WHERE box_item_id IS NOT NULL",
        True,
    ),
    "uq_scheduled_change_waiting": (
        "scheduled_change",
        "(subscription_id) WHERE state = 'waiting' AND kind = 'price'",
        True,
    ),
    "ix_subscription_resuming": (
        "subscription",
        "(resumes_on) WHERE resumes_on IS NOT NULL",
        False,
    ),
    "ix_subscription_period_by_days": (
        "subscription_period",
        (
            "(end_on, earned_on, id) WHERE box_count = 0 AND state = 'paid'"
            " AND kind IN ('billed','gift') AND (earned_on IS NULL OR earned_on < end_on)"
        ),
        False,
    ),
    "ix_ledger_transfer_deferred": (
        "ledger_transfer",
        "(period_id) WHERE (debit = 'deferred_revenue' OR credit = 'deferred_revenue')",
        False,
    ),
    "ix_ledger_transfer_granted": (
        "ledger_transfer",
        "(customer_id) WHERE invoice_id IS NULL AND box_id IS NULL",
        False,
    ),
    "ix_customer_tax_id_pending": (
        "customer",
        "(tax_id_checked_at, id) WHERE tax_id_state = 'pending'",
        False,
    ),
    "ix_outbox_message_due": ("outbox_message", "(due_at, id) WHERE state = 'waiting'", False),
}


def index_statement(name: str) -> str:
    """Return the statement that makes the partial index ``name`` if it is missing."""
    table, rest, unique = PARTIAL_INDEXES[name]
    kind = "UNIQUE INDEX" if unique else "INDEX"
    return f"CREATE {kind} IF NOT EXISTS {name} ON {table} {rest}"
