"""What a role may allow. A role is a set of these codes in a table; the owner's holds them all."""

from __future__ import annotations

#: See customers, their subscriptions, invoices and boxes.
SUBSCRIBERS_VIEW = "subscribers.view"
#: Skip, cancel, hold and release a subscription for its customer; send a sign-in link.
SUBSCRIPTIONS_MANAGE = "subscriptions.manage"
#: Make two accounts one, erase people; neither can be taken back.
CUSTOMERS_MANAGE = "customers.manage"
#: Hold all charging, release what an outage held, decide about payments over wrong amounts.
CHARGING_MANAGE = "charging.manage"
#: Refund, void and write off invoices, charge extras, note transfers that came by bank.
INVOICES_MANAGE = "invoices.manage"
#: Cycles, recipes, locks, exports of boxes.
BOXES_MANAGE = "boxes.manage"
#: Download files that hold names and addresses.
EXPORTS_DOWNLOAD = "exports.download"
#: Products, their stock, imports.
PRODUCTS_MANAGE = "products.manage"
#: Plans, prices, options, cycle groups.
PLANS_MANAGE = "plans.manage"
#: Promotion codes.
COUPONS_MANAGE = "coupons.manage"
#: Read every message, send one again, stop one.
MESSAGES_MANAGE = "messages.manage"
#: See how the worker does, try parked work again.
JOBS_MANAGE = "jobs.manage"
#: See balances and the nightly check, export the books, set account numbers.
ACCOUNTING_EXPORT = "accounting.export"
#: The shop's settings and the log of what staff did.
SETTINGS_MANAGE = "settings.manage"
#: Invite people to the staff, choose their roles, lock them out.
STAFF_MANAGE = "staff.manage"
#: Move the clock of a demo shop.
CLOCK_MOVE = "clock.move"

ALL = frozenset(
    {
        SUBSCRIBERS_VIEW,
        SUBSCRIPTIONS_MANAGE,
        CUSTOMERS_MANAGE,
        CHARGING_MANAGE,
        INVOICES_MANAGE,
        BOXES_MANAGE,
        EXPORTS_DOWNLOAD,
        PRODUCTS_MANAGE,
        PLANS_MANAGE,
        COUPONS_MANAGE,
        MESSAGES_MANAGE,
        JOBS_MANAGE,
        ACCOUNTING_EXPORT,
        SETTINGS_MANAGE,
        STAFF_MANAGE,
        CLOCK_MOVE,
    }
)

#: Code -> (name, permissions) of the roles a new shop begins with.
FIRST_ROLES: dict[str, tuple[str, frozenset[str]]] = {
    "owner": ("Owner", ALL),
    "fulfilment": (
        "Fulfilment",
        frozenset({BOXES_MANAGE, EXPORTS_DOWNLOAD, PRODUCTS_MANAGE}),
    ),
    "support": (
        "Support",
        frozenset({SUBSCRIBERS_VIEW, SUBSCRIPTIONS_MANAGE, MESSAGES_MANAGE}),
    ),
}
#: The role that may everything; there is always somebody who has it.
OWNER = "owner"
