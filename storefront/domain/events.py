"""Stable codes of what happens; timelines, plugins and webhooks use the same words."""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """``subject.what_happened``; a code never changes its meaning."""

    SUBSCRIPTION_STARTED = "subscription.started"
    SUBSCRIPTION_IMPORTED = "subscription.imported"
    SUBSCRIPTION_RENEWED = "subscription.renewed"
    SUBSCRIPTION_SKIPPED = "subscription.period_skipped"
    SUBSCRIPTION_PAST_DUE = "subscription.past_due"
    SUBSCRIPTION_RECOVERED = "subscription.recovered"
    SUBSCRIPTION_CANCEL_PLANNED = "subscription.cancel_planned"
    SUBSCRIPTION_CANCEL_UNDONE = "subscription.cancel_undone"
    SUBSCRIPTION_ENDED = "subscription.ended"
    SUBSCRIPTION_EXPIRED = "subscription.expired"
    SUBSCRIPTION_PAUSE_PLANNED = "subscription.pause_planned"
    SUBSCRIPTION_PAUSED = "subscription.paused"
    SUBSCRIPTION_RESUMED = "subscription.resumed"
    SUBSCRIPTION_HELD = "subscription.held"
    SUBSCRIPTION_RELEASED = "subscription.released"
    SUBSCRIPTION_CHANGED = "subscription.changed"
    DATE_MOVED = "subscription.date_moved"
    BOXES_MADE_UNPAID = "subscription.boxes_made_unpaid"
    ADDONS_CHANGED = "subscription.addons_changed"
    ANSWERS_CHANGED = "subscription.answers_changed"
    CODE_ADDED = "subscription.code_added"
    CODE_REMOVED = "subscription.code_removed"
    PAYMENT_SUCCEEDED = "payment.succeeded"
    PAYMENT_DECLINED = "payment.declined"
    PAYMENT_ACTION_REQUIRED = "payment.action_required"
    PAYMENT_UNKNOWN = "payment.unknown"
    PAYMENT_SURPLUS = "payment.surplus"
    PAYMENT_CORRECTED = "payment.corrected"
    REFUND_DONE = "refund.done"
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"
    BOX_MADE = "box.made"
    BOX_MOVED = "box.moved"
    BOX_SKIPPED = "box.skipped"
    BOX_UNSKIPPED = "box.unskipped"
    BOX_CHOSEN = "box.chosen"
    BOX_LOCKED = "box.locked"
    BOX_EXPORTED = "box.exported"
    BOX_SHIPPED = "box.shipped"
    BOX_DELIVERED = "box.delivered"
    BOX_RETURNED = "box.returned"
    ADDRESS_CHANGED = "address.changed"
    BOX_ADDRESS_CHANGED = "box.address_changed"
    METHOD_CHANGED = "payment_method.changed"


class Actor(StrEnum):
    """Who did it."""

    CUSTOMER = "customer"
    STAFF = "staff"
    SHOPPER = "shopper"
    WORKER = "worker"
