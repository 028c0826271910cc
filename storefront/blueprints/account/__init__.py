"""The customer's own pages: boxes, subscriptions, money, addresses, sign-ins.

Every handler loads by public id *and* customer, so what is somebody else's is not there.
"""

from __future__ import annotations

from flask_babel import lazy_gettext as _

from storefront.blueprints.account import (
    addons,
    allergies,
    answers,
    boxes,
    breaks,
    choices,
    disputes,
    gifts,
    inquiries,
    late,
    methods,
    money,
    offers,
    plan,
    profile,
    recommend,
    subscriptions,
    swaps,
    tax,
    two_step,
)
from storefront.blueprints.account.base import bp
from storefront.blueprints.context import register_menu
from storefront.kept import register_kept
from storefront.security import CUSTOMER, register_policy

__all__ = [
    "addons",
    "allergies",
    "answers",
    "boxes",
    "bp",
    "breaks",
    "choices",
    "disputes",
    "gifts",
    "inquiries",
    "late",
    "methods",
    "money",
    "offers",
    "plan",
    "profile",
    "recommend",
    "subscriptions",
    "swaps",
    "tax",
    "two_step",
]

register_policy(
    {
        f"account.{name}": CUSTOMER
        for name in (
            "home",
            "subscription",
            "addons",
            "save_addons",
            "add_now",
            "allergies",
            "save_allergies",
            "answers",
            "save_answers",
            "choose",
            "save_choice",
            "swap",
            "save_swap",
            "add_code",
            "remove_code",
            "late",
            "ask_late",
            "late_contents",
            "ask_late_contents",
            "skip",
            "undo_skip",
            "plan",
            "keep_plan",
            "payment_back",
            "payment_ask",
            "cancel",
            "cancelled",
            "undo_cancel",
            "pause",
            "drop_pause",
            "resume",
            "move_date",
            "send_now",
            "again",
            "after_gift",
            "given_gift",
            "go_on",
            "address",
            "usual_address",
            "addresses",
            "invoices",
            "invoice",
            "invoice_pdf",
            "payment",
            "use_method",
            "backup_method",
            "remove_method",
            "method_for_one",
            "add_card",
            "card_back",
            "keep_card",
            "pay",
            "check_payment",
            "stop_debit",
            "security",
            "end_session",
            "end_other_sessions",
            "password",
            "two_step",
            "privacy",
            "own_data",
            "save_offers",
            "erase",
            "ask_to_erase",
            "keep_account",
            "recommend",
            "make_link",
            "tax_id",
            "dispute",
            "inquiries",
            "new_inquiry",
            "inquiry",
            "reply",
        )
    }
)
register_kept(["account.address", "account.cancel", "account.new_inquiry", "account.reply"])
register_menu(
    "account",
    [
        (_("Boxes"), "account.home", ""),
        (_("Payment"), "account.payment", ""),
        (_("Invoices"), "account.invoices", ""),
        (_("Addresses"), "account.addresses", ""),
        (_("Inquiries"), "account.inquiries", ""),
        (_("Sign-in"), "account.security", ""),
    ],
)
