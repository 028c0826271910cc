"""All mapped classes, so that one import fills the metadata."""

from storefront.models.additions import BoxAddition, BoxAdditionBox
from storefront.models.announcements import Announcement, AnnouncementDismissal
from storefront.models.answers import OptionAnswer, OptionWording
from storefront.models.base import Base
from storefront.models.box_addresses import BoxAddress
from storefront.models.boxes import Box, BoxCycle, BoxItem, BoxSkip, CycleGroup, Recipe, RecipeItem
from storefront.models.charging import (
    CardTry,
    ChargeAttempt,
    Difference,
    Dispute,
    GatewayEvent,
    GatewaySetup,
    GatewayState,
    PaymentMethod,
    Reconciliation,
    Refund,
)
from storefront.models.checkout import Checkout
from storefront.models.choices import (
    AllergyAnswer,
    BoxChoice,
    BoxChoiceItem,
    BoxNotice,
    ChoiceReminder,
    ChoiceRule,
    ShipDayNotice,
)
from storefront.models.content import ContentPage, FaqEntry, FormerAddress
from storefront.models.coupons import (
    Coupon,
    PromotionCode,
    Redemption,
    Referral,
    SubscriptionDiscount,
)
from storefront.models.customers import (
    Address,
    Consent,
    Customer,
    ErasureRequest,
    HostIdentity,
    LoginLink,
    LoginSession,
)
from storefront.models.declarations import Declaration, DeclarationOutcome
from storefront.models.dunning import DunningCase, RetrySchedule
from storefront.models.first_boxes import FirstBoxPlace
from storefront.models.fulfilment import ExportFormat, FulfilmentBatch, Shipment
from storefront.models.gifts import Gift
from storefront.models.inquiries import Inquiry, InquiryMessage
from storefront.models.invoices import (
    CarriedAmount,
    CreditApplication,
    CreditMove,
    CreditNote,
    CreditNoteLine,
    CustomerCredit,
    Invoice,
    InvoiceLine,
    NumberSeries,
)
from storefront.models.late_changes import LateChange
from storefront.models.leaving import LeavingOffer
from storefront.models.ledger import LedgerJournal, LedgerSeal, LedgerTransfer
from storefront.models.metrics import Movement
from storefront.models.outbox import JobRun, Notice, OutboxMessage, ParkedWork
from storefront.models.papers import BatchPaper
from storefront.models.parcels import ParcelEvent, ProviderParcel
from storefront.models.places import OrderHold, PlanPlaces, WaitingPlace
from storefront.models.plans import Addon, Option, OptionGroup, Plan, Price
from storefront.models.products import Product, ProductVariant, StockMove
from storefront.models.replacements import BoxReplacement
from storefront.models.returns import BoxReturn
from storefront.models.settings import (
    Installation,
    SelfCheck,
    ShopLogo,
    ShopLook,
    ShopSettings,
    TaxRate,
    Throttle,
)
from storefront.models.shipping import (
    BoxWeight,
    ShippingArea,
    ShippingBand,
    ShippingTariff,
    ShippingZone,
)
from storefront.models.shortages import BoxShortage, ShortageRule
from storefront.models.staff import AuditEntry, Role, Staff, StaffSession
from storefront.models.subscriptions import (
    PriceMigration,
    PriceMigrationItem,
    ScheduledChange,
    Subscription,
    SubscriptionAddon,
    SubscriptionEvent,
    SubscriptionPeriod,
)
from storefront.models.suggestions import SuggestionDismissal
from storefront.models.swaps import BoxSwap, SwapOffer
from storefront.models.tokens import ApiToken
from storefront.models.two_step import RecoveryCode, TwoStep

__all__ = [
    "Addon",
    "Address",
    "AllergyAnswer",
    "Announcement",
    "AnnouncementDismissal",
    "ApiToken",
    "AuditEntry",
    "Base",
    "BatchPaper",
    "Box",
    "BoxAddition",
    "BoxAdditionBox",
    "BoxAddress",
    "BoxChoice",
    "BoxChoiceItem",
    "BoxCycle",
    "BoxItem",
    "BoxNotice",
    "BoxReplacement",
    "BoxReturn",
    "BoxShortage",
    "BoxSkip",
    "BoxSwap",
    "BoxWeight",
    "CardTry",
    "CarriedAmount",
    "ChargeAttempt",
    "Checkout",
    "ChoiceReminder",
    "ChoiceRule",
    "Consent",
    "ContentPage",
    "Coupon",
    "CreditApplication",
    "CreditMove",
    "CreditNote",
    "CreditNoteLine",
    "Customer",
    "CustomerCredit",
    "CycleGroup",
    "Declaration",
    "DeclarationOutcome",
    "Difference",
    "Dispute",
    "DunningCase",
    "ErasureRequest",
    "ExportFormat",
    "FaqEntry",
    "FirstBoxPlace",
    "FormerAddress",
    "FulfilmentBatch",
    "GatewayEvent",
    "GatewaySetup",
    "GatewayState",
    "Gift",
    "HostIdentity",
    "Inquiry",
    "InquiryMessage",
    "Installation",
    "Invoice",
    "InvoiceLine",
    "JobRun",
    "LateChange",
    "LeavingOffer",
    "LedgerJournal",
    "LedgerSeal",
    "LedgerTransfer",
    "LoginLink",
    "LoginSession",
    "Movement",
    "Notice",
    "NumberSeries",
    "Option",
    "OptionAnswer",
    "OptionGroup",
    "OptionWording",
    "OrderHold",
    "OutboxMessage",
    "ParcelEvent",
    "ParkedWork",
    "PaymentMethod",
    "Plan",
    "PlanPlaces",
    "Price",
    "PriceMigration",
    "PriceMigrationItem",
    "Product",
    "ProductVariant",
    "PromotionCode",
    "ProviderParcel",
    "Recipe",
    "RecipeItem",
    "Reconciliation",
    "RecoveryCode",
    "Redemption",
    "Referral",
    "Refund",
    "RetrySchedule",
    "Role",
    "ScheduledChange",
    "SelfCheck",
    "ShipDayNotice",
    "Shipment",
    "ShippingArea",
    "ShippingBand",
    "ShippingTariff",
    "ShippingZone",
    "ShopLogo",
    "ShopLook",
    "ShopSettings",
    "ShortageRule",
    "Staff",
    "StaffSession",
    "StockMove",
    "Subscription",
    "SubscriptionAddon",
    "SubscriptionDiscount",
    "SubscriptionEvent",
    "SubscriptionPeriod",
    "SuggestionDismissal",
    "SwapOffer",
    "TaxRate",
    "Throttle",
    "TwoStep",
    "WaitingPlace",
]
