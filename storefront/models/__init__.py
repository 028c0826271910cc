"""All mapped classes, so that one import fills the metadata."""

from storefront.models.base import Base
from storefront.models.boxes import Box, BoxCycle, BoxItem, BoxSkip, CycleGroup, Recipe, RecipeItem
from storefront.models.charging import (
    ChargeAttempt,
    GatewayEvent,
    GatewaySetup,
    PaymentMethod,
    Refund,
)
from storefront.models.checkout import Checkout
from storefront.models.coupons import Coupon, PromotionCode, Redemption, SubscriptionDiscount
from storefront.models.customers import (
    Address,
    Consent,
    Customer,
    HostIdentity,
    LoginLink,
    LoginSession,
)
from storefront.models.dunning import DunningCase
from storefront.models.fulfilment import FulfilmentBatch, Shipment
from storefront.models.invoices import (
    CreditApplication,
    CreditMove,
    CreditNote,
    CreditNoteLine,
    CustomerCredit,
    Invoice,
    InvoiceLine,
    NumberSeries,
)
from storefront.models.ledger import LedgerJournal, LedgerTransfer
from storefront.models.metrics import Movement
from storefront.models.outbox import JobRun, Notice, OutboxMessage, ParkedWork
from storefront.models.plans import Option, OptionGroup, Plan, Price
from storefront.models.products import Product, ProductVariant, StockMove
from storefront.models.settings import Installation, ShopSettings, Throttle
from storefront.models.staff import AuditEntry, Role, Staff, StaffSession
from storefront.models.subscriptions import (
    ScheduledChange,
    Subscription,
    SubscriptionEvent,
    SubscriptionPeriod,
)

__all__ = [
    "Address",
    "AuditEntry",
    "Base",
    "Box",
    "BoxCycle",
    "BoxItem",
    "BoxSkip",
    "ChargeAttempt",
    "Checkout",
    "Consent",
    "Coupon",
    "CreditApplication",
    "CreditMove",
    "CreditNote",
    "CreditNoteLine",
    "Customer",
    "CustomerCredit",
    "CycleGroup",
    "DunningCase",
    "FulfilmentBatch",
    "GatewayEvent",
    "GatewaySetup",
    "HostIdentity",
    "Installation",
    "Invoice",
    "InvoiceLine",
    "JobRun",
    "LedgerJournal",
    "LedgerTransfer",
    "LoginLink",
    "LoginSession",
    "Movement",
    "Notice",
    "NumberSeries",
    "Option",
    "OptionGroup",
    "OutboxMessage",
    "ParkedWork",
    "PaymentMethod",
    "Plan",
    "Price",
    "Product",
    "ProductVariant",
    "PromotionCode",
    "Recipe",
    "RecipeItem",
    "Redemption",
    "Refund",
    "Role",
    "ScheduledChange",
    "Shipment",
    "ShopSettings",
    "Staff",
    "StaffSession",
    "StockMove",
    "Subscription",
    "SubscriptionDiscount",
    "SubscriptionEvent",
    "SubscriptionPeriod",
    "Throttle",
]
