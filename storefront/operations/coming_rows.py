"""The statement that reads subscriptions with all that decides their coming boxes."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from storefront.models import (
    Address,
    BoxSkip,
    Customer,
    PaymentMethod,
    Plan,
    Price,
    ScheduledChange,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.addons import has_addons
from storefront.operations.box_addresses import gift_country, has_given_addresses
from storefront.operations.change_data import due_change
from storefront.operations.counting_on import brought
from storefront.operations.discounts import has_discounts
from storefront.operations.keys import AnySelect
from storefront.operations.methods import paying_method
from storefront.operations.pinned import ending_columns
from storefront.operations.taxes import buyer_columns


@cache
def coming_rows() -> AnySelect:
    """Return the statement; which subscriptions, the caller adds.

    They come in the order of their keys, with plan and price of now and of their next period,
    address and method. It is built once, which takes several times as long as running it;
    ``operations/skips.py`` says what is made of its rows.
    """
    subscription, plan, price = table_of(Subscription), table_of(Plan), table_of(Price)
    address, method = table_of(Address), table_of(PaymentMethod)
    customer, skip = table_of(Customer), table_of(BoxSkip)
    now_plan, now_price, change = plan.alias(), price.alias(), table_of(ScheduledChange)
    payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
    return (
        sa.select(
            *(column for column in subscription.c if column.name not in {"plan_id", "price_id"}),
            payer.label("payer"),
            price.c.plan_id,
            price.c.id.label("next_price_id"),
            change.c.kind.label("change_kind"),
            change.c.data.label("change_data"),
            subscription.c.quantity.label("now_quantity"),
            now_price.c.id.label("now_price_id"),
            now_plan.c.id.label("now_plan_id"),
            now_plan.c.name.label("now_plan_name"),
            now_plan.c.code.label("now_plan_code"),
            now_plan.c.cycle_group_id.label("now_group_id"),
            now_plan.c.pause_unpaid,
            now_plan.c.skips_in_row,
            now_plan.c.skips_per_year,
            now_plan.c.skip_notice_days,
            now_price.c.amount_minor.label("now_amount_minor"),
            now_price.c.unit.label("now_unit"),
            now_price.c.count.label("now_count"),
            plan.c.name.label("plan_name"),
            plan.c.code.label("plan_code"),
            plan.c.public_id.label("plan_ref"),
            plan.c.ships,
            plan.c.shipping_unit,
            plan.c.shipping_count,
            plan.c.cycle_group_id,
            plan.c.tax_class,
            *ending_columns(plan),
            price.c.currency,
            price.c.amount_minor,
            price.c.phases,
            price.c.tax_inclusive,
            price.c.unit,
            price.c.count.label("unit_count"),
            address.c.public_id.label("address_ref"),
            address.c.name.label("ship_name"),
            address.c.street,
            address.c.postcode,
            address.c.city,
            address.c.country,
            address.c.region,
            *buyer_columns(customer, subscription),
            method.c.public_id.label("method_ref"),
            method.c.brand,
            method.c.last4,
            method.c.kind.label("method_kind"),
            method.c.label.label("method_label"),
            has_addons(subscription).label("has_addons"),
            has_discounts(subscription).label("has_discounts"),
            has_given_addresses(subscription).label("has_given_addresses"),
            sa.exists().where(skip.c.subscription_id == subscription.c.id).label("has_skips"),
            brought(subscription).label("brought"),
            gift_country(subscription).label("gift_country"),
        )
        .select_from(subscription)
        .join(now_plan, now_plan.c.id == subscription.c.plan_id)
        .join(now_price, now_price.c.id == subscription.c.price_id)
        .outerjoin(change, due_change(change, subscription))
        .join(price, price.c.id == sa.func.coalesce(change.c.price_id, now_price.c.id))
        .join(plan, plan.c.id == price.c.plan_id)
        .outerjoin(customer, customer.c.id == payer)
        .outerjoin(address, address.c.id == subscription.c.address_id)
        .outerjoin(method, paying_method(usable=False))
        .order_by(subscription.c.id)
    )
