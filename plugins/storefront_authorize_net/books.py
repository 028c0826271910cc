"""What Authorize.net's own lists say: charges for reconciliation, and disputes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from storefront.hooks import AnswerStatus, ChargeRecord, DisputeRecord, DisputeState, Money
from storefront_authorize_net.answers import order_of
from storefront_authorize_net.api import Api, time_of
from storefront_authorize_net.codes import REFUND_STATUSES, STATUSES
from storefront_authorize_net.references import is_ours, money_of, whole

_S = AnswerStatus
#: A chargeback that was not reversed by then counts as lost. The API never says so; card
#: schemes close a case within this time after it was opened.
LOST_AFTER = timedelta(days=120)
_TAKEN_BACK = {"chargeback", "returnedItem"}


def charges_since(
    api: Api, since: datetime, now: datetime, currency: str
) -> Iterator[ChargeRecord]:
    """Yield our charges that took money, oldest first. Raises ``Silent``."""
    transactions = sorted(_ours(api, since, now), key=lambda each: str(each["submitTimeUTC"]))
    returned: dict[str, Money] = defaultdict(lambda: Money.zero(currency))
    for each in transactions:
        if each["transactionType"] == "refundTransaction" and _has_moved(each):
            returned[str(each.get("refTransId"))] += money_of(each["authAmount"], currency)
    for each in transactions:
        if each["transactionType"] == "authCaptureTransaction" and _has_taken(each):
            yield _record(each, currency, returned[str(each["transId"])])


def _ours(api: Api, since: datetime, now: datetime) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    # In this order: what is settled between the two questions stands in the first answer.
    for listed in (api.unsettled(), api.settled(since, now)):
        for each in listed:
            number = str(each["transId"])
            mine = is_ours(str(each.get("invoiceNumber", "")))
            if mine and number not in seen and time_of(each["submitTimeUTC"]) >= since:
                seen.add(number)
                details = api.details(number)
                if details is not None:
                    yield details


def _has_moved(refund: Mapping[str, Any]) -> bool:
    return REFUND_STATUSES.get(str(refund["transactionStatus"])) is _S.SUCCEEDED


def _has_taken(charge: Mapping[str, Any]) -> bool:
    state = str(charge["transactionStatus"])
    # A void after an approval is our refund of the whole; after a review nothing was taken.
    return STATUSES.get(state) is _S.SUCCEEDED or (
        state == "voided" and str(charge.get("responseCode")) == "1"
    )


def _record(charge: Mapping[str, Any], currency: str, returned: Money) -> ChargeRecord:
    amount, state = money_of(charge["authAmount"], currency), str(charge["transactionStatus"])
    return ChargeRecord(
        reference=whole(*order_of(charge)),
        gateway_reference=str(charge["transId"]),
        status=_S.SUCCEEDED,
        amount=amount,
        refunded=amount if state == "voided" else returned,
        created_at=time_of(str(charge["submitTimeUTC"])),
        is_disputed=state in _TAKEN_BACK or state == "chargebackReversal",
    )


def disputes_of(
    charge: Mapping[str, Any], reference: str, currency: str, now: datetime
) -> Sequence[DisputeRecord]:
    """Return the dispute that a charge's status tells of.

    There is no API for disputes: no reason, no fee, no date to answer by, and no word that one
    was lost.
    """
    state = str(charge.get("transactionStatus", ""))
    if state not in _TAKEN_BACK and state != "chargebackReversal":
        return []
    items = charge.get("returnedItems") or [{}]
    opened = time_of(str(items[0].get("dateUTC") or charge["submitTimeUTC"]))
    number = str(charge["transId"])
    return [
        DisputeRecord(
            gateway_reference=f"{number}-dispute",
            charge_reference=whole(*order_of(charge)) or reference,
            charge_gateway_reference=number,
            state=_state(state, now - opened),
            amount=money_of(charge["authAmount"], currency),
            reason=str(items[0].get("code") or state),
            opened_at=opened,
        )
    ]


def _state(state: str, age: timedelta) -> DisputeState:
    if state == "chargebackReversal":
        return DisputeState.WON
    return DisputeState.LOST if age > LOST_AFTER else DisputeState.OPEN
