"""The merchant's side: dense pages for staff, each guarded by a permission of the role."""

from __future__ import annotations

from importlib import import_module

from flask import Blueprint
from flask_babel import lazy_gettext as _

from storefront.blueprints.context import register_menu
from storefront.domain import permissions as may
from storefront.kept import register_kept

#: ``module:function`` of every page or group of pages; the function adds them to the blueprint.
PAGES = (
    "auth:add_sign_in",
    "design:add_design",
    "today:add_today",
    "subscribers:add_subscribers",
    "subscriber_files:add_subscriber_files",
    "breaks:add_breaks",
    "choices:add_choices",
    "addresses:add_addresses",
    "downgrades:add_downgrades",
    "gifts:add_gifts",
    "gift_desk:add_gift_desk",
    "customer_tax:add_customer_tax",
    "customers:add_customers",
    "documents:add_documents",
    "refunds:add_refunds",
    "invoices:add_invoices",
    "extra_drafts:add_extra_drafts",
    "plan_questions:add_questions",
    "plans:add_plans",
    "groups:add_groups",
    "plan_terms:add_plan_terms",
    "retries:add_retries",
    "leaving:add_leaving",
    "places:add_places",
    "capacity:add_capacity",
    "cycle_days:add_cycle_days",
    "price_changes:add_price_changes",
    "addons:add_addons",
    "coupons:add_coupons",
    "shipping:add_shipping",
    "customs:add_customs",
    "referrals:add_referrals",
    "settings:add_settings",
    "look:add_look",
    "logo:add_logo",
    "taxes:add_taxes",
    "people:add_people",
    "profile:add_profile",
    "clock:add_clock",
    "outbox:add_outbox",
    "jobs:add_jobs",
    "gateway_events:add_gateway_events",
    "disputes:add_disputes",
    "differences:add_differences",
    "installation:add_installation",
    "accounting:add_accounting",
    "cycles:add_cycles",
    "late_changes:add_late_changes",
    "late_boxes:add_late_boxes",
    "declarations:add_declarations",
    "inquiries:add_inquiries",
    "announcements:add_announcements",
    "content:add_content",
    "faq:add_faq",
    "exports:add_exports",
    "export_formats:add_export_formats",
    "tracking:add_tracking",
    "api_tokens:add_api_tokens",
    "providers:add_providers",
    "papers:add_papers",
    "boxes:add_boxes",
    "parcel_numbers:add_parcel_numbers",
    "recipes:add_recipes",
    "swaps:add_swaps",
    "answers:add_answers",
    "products:add_products",
    "forecast:add_forecast",
    "imports:add_imports",
    "subscriber_imports:add_subscriber_imports",
)

bp = Blueprint("admin", __name__, url_prefix="/admin")

# In the order of the day's work, whatever the order of the modules.
register_menu(
    "admin",
    [
        (_("Today"), "admin.today", ""),
        (_("Subscribers"), "admin.subscribers", may.SUBSCRIBERS_VIEW),
        (_("Boxes"), "admin.cycles", may.BOXES_MANAGE),
        (_("Products and stock"), "admin.products", may.PRODUCTS_MANAGE),
        (_("Plans"), "admin.plans", may.PLANS_MANAGE),
        (_("Add-ons"), "admin.addons", may.PLANS_MANAGE),
        (_("Discounts"), "admin.coupons", may.COUPONS_MANAGE),
        (_("Delivery"), "admin.shipping", may.PLANS_MANAGE),
        (_("Disputes"), "admin.disputes", may.SUBSCRIBERS_VIEW),
        (_("Inquiries"), "admin.inquiries", may.SUBSCRIBERS_VIEW),
        (_("Messages"), "admin.outbox", may.MESSAGES_MANAGE),
        (_("Payment gateways"), "admin.gateway_events", may.JOBS_MANAGE),
        (_("Differences"), "admin.differences", may.CHARGING_MANAGE),
        (_("Jobs"), "admin.jobs", may.JOBS_MANAGE),
        (_("Books"), "admin.accounting", may.ACCOUNTING_EXPORT),
        (_("Staff"), "admin.staff", may.STAFF_MANAGE),
        (_("Settings"), "admin.settings", may.SETTINGS_MANAGE),
    ],
)

# Forms of several fields; none of them asks for anything secret.
register_kept(
    f"admin.{name}"
    for name in (
        "coupon_new",
        "batch_new",
        "shipping_zone",
        "shipping_zone_new",
        "shipping_weights",
        "customs_product",
        "look_save",
        "cycle_group_new",
        "plan_new",
        "plan_text",
        "plan_rules",
        "price_change_new",
        "leaving_new",
        "retry_new",
        "retry_schedule",
        "save_product",
        "look_save",
        "settings_save",
        "inquiry_answer",
        "inquiry_note",
        "announcement_new",
        "announcement",
        "content_page_new",
        "content_page",
        "faq_new",
        "faq",
        "staff_invite",
        "subscription_cancel",
    )
)

for page in PAGES:
    module, _colon, function = page.partition(":")
    getattr(import_module(f"{__name__}.{module}"), function)(bp)
