"""Which stored cards a customer may be offered again."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.models import ChargeAttempt, GatewaySetup, Invoice, PaymentMethod
from storefront.models.base import table_of


def was_accepted() -> sa.ColumnElement[bool]:
    """True of a row of ``payment_method`` unless an order was tried with it and never paid.

    At the checkout a card is stored before it is charged; when the bank then says no, nobody
    has accepted it. One that was added in the account was accepted by its set-up alone.
    """
    method, attempt, invoice = (table_of(each) for each in (PaymentMethod, ChargeAttempt, Invoice))
    setup = table_of(GatewaySetup)
    tried_with = sa.exists().where(attempt.c.payment_method_id == method.c.id)
    ordered_with = tried_with.where(
        invoice.c.id == attempt.c.invoice_id, invoice.c.checkout_id.is_not(None)
    )
    paid_with = tried_with.where(attempt.c.state == AttemptState.SUCCEEDED)
    added_in_account = sa.exists().where(
        setup.c.payment_method_id == method.c.id, setup.c.checkout_id.is_(None)
    )
    return sa.or_(~ordered_with, paid_with, added_in_account)
