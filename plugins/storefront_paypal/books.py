"""PayPal's own lists: the transaction report, which lags, and disputes, which do not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from storefront.hooks import AnswerStatus, ChargeRecord, DisputeRecord, DisputeState, Money
from storefront_paypal.amounts import money_of
from storefront_paypal.api import Api, Forbidden, Silent

#: "It takes a maximum of three hours for executed transactions to appear" (Transaction Search).
SETTLE_SECONDS = 3 * 3600
#: How far back a look-up by our reference goes: what one question of the report may span.
LOOK_BACK = timedelta(days=31)
#: Days per question for lists: a question may have 10,000 results at most.
_STRETCH = timedelta(days=7)
_PAGE = 500
_REFUND, _CHARGEBACKS = "T1107", frozenset({"T1106", "T1201", "T1111"})
#: Success, pending, and success that was reversed later.
_TAKEN = frozenset({"S", "V"})
#: What a public id of ours looks like: other programs use the account, too.
_OURS = re.compile(r"[a-z]{3}_[0-9a-z_]+")
_DISPUTES = "/v1/customer/disputes"
#: Outcomes that leave the money with the merchant; a payout is PayPal's own money.
_WON = frozenset({"RESOLVED_SELLER_FAVOUR", "RESOLVED_WITH_PAYOUT", "CANCELED_BY_BUYER", "DENIED"})


class Report:
    """The transaction report (``/v1/reporting/transactions``)."""

    def __init__(self, api: Api, now: Callable[[], datetime]) -> None:
        self._api, self._now = api, now

    def find(self, reference: str) -> list[str]:
        """Return the transaction ids under our invoice id; none if there surely is none.

        A charge's conversion of currencies, or what a merchant gave back by hand, has its
        invoice id as well. Raises ``Silent``, also when the report lags more than it promises.
        """
        now = self._now()
        return [
            str(each["transaction_id"])
            for each in self._rows(now - LOOK_BACK, now, LOOK_BACK)
            if reference in {each.get("invoice_id"), _first(each)}
        ]

    def charges(self, since: datetime) -> Iterator[ChargeRecord]:
        """Yield our charges that took money, oldest first. Raises ``Silent``."""
        rows = list(self._rows(since, self._now(), _STRETCH))
        returned: dict[str, list[Money]] = defaultdict(list)
        disputed = set()
        for each in rows:
            if each.get("transaction_event_code") == _REFUND:
                back = money_of(each["transaction_amount"])
                returned[str(each.get("paypal_reference_id"))].append(back)
            elif each.get("transaction_event_code") in _CHARGEBACKS:
                disputed.add(str(each.get("paypal_reference_id")))
        rows.sort(key=lambda each: str(each["transaction_initiation_date"]))
        for each in rows:
            is_ours = _OURS.fullmatch(str(each.get("invoice_id", "")))
            is_taken = is_ours and each.get("transaction_status") in _TAKEN
            # A refund of ours is listed below zero under its own reference.
            if is_taken and money_of(each["transaction_amount"]).minor > 0:
                number = str(each["transaction_id"])
                yield _record(each, returned[number], is_disputed=number in disputed)

    def _rows(
        self, since: datetime, until: datetime, stretch: timedelta
    ) -> Iterator[Mapping[str, Any]]:
        start = since
        while start < until:
            end = min(start + stretch, until)
            yield from self._pages(start, end)
            start = end

    def _pages(self, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
        number, last = 1, 1
        while number <= last:
            answer = self._page(start, end, number)
            self._check_age(answer, end)
            for each in answer.get("transaction_details") or []:
                yield each["transaction_info"]
            last = int(answer.get("total_pages") or 1)
            number += 1

    def _page(self, start: datetime, end: datetime, number: int) -> Mapping[str, Any]:
        try:
            answer = self._api.get(
                "/v1/reporting/transactions",
                start_date=_stamp(start),
                end_date=_stamp(end),
                fields="transaction_info",
                # Unasked, a capture that waits for a review is left out: no balance moved yet.
                balance_affecting_records_only="N",
                page_size=str(_PAGE),
                page=str(number),
            )
        except Forbidden as error:
            # Not our key: one permission. Everything but finding lost answers goes on.
            raise Silent("no_transaction_search") from error
        if answer is None:
            raise Silent("no_report")
        return answer

    def _check_age(self, answer: Mapping[str, Any], end: datetime) -> None:
        """Refuse a report that is older than promised: what is missing there may exist."""
        told = str(answer.get("last_refreshed_datetime") or "")
        if told and datetime.fromisoformat(told) < min(
            end, self._now() - timedelta(seconds=SETTLE_SECONDS)
        ):
            raise Silent("report_late")


def disputes_of(api: Api, capture: str, reference: str) -> Sequence[DisputeRecord]:
    """Return every dispute of a capture. Raises ``Silent``."""
    listed = api.get(_DISPUTES, disputed_transaction_id=capture) or {}
    found = []
    for each in listed.get("items") or []:
        details = api.get(f"{_DISPUTES}/{each['dispute_id']}")
        if details is not None:
            found.append(_dispute(details, capture, reference))
    return found


def _dispute(found: Mapping[str, Any], capture: str, reference: str) -> DisputeRecord:
    amount = money_of(found["dispute_amount"])
    due = str(found.get("seller_response_due_date") or "")
    # In the first stage two people talk; nothing is taken back yet.
    is_inquiry = found.get("dispute_life_cycle_stage") == "INQUIRY"
    return DisputeRecord(
        gateway_reference=str(found["dispute_id"]),
        charge_reference=reference,
        charge_gateway_reference=capture,
        state=_state(found),
        amount=Money.zero(amount.currency) if is_inquiry else amount,
        reason=str(found.get("reason", "")).lower(),
        opened_at=datetime.fromisoformat(str(found["create_time"])),
        answer_by=datetime.fromisoformat(due) if due else None,
    )


def _state(found: Mapping[str, Any]) -> DisputeState:
    if found.get("status") != "RESOLVED":
        return DisputeState.OPEN
    outcome = str((found.get("dispute_outcome") or {}).get("outcome_code", ""))
    return DisputeState.WON if outcome in _WON else DisputeState.LOST


def _record(
    row: Mapping[str, Any], returned: Sequence[Money], *, is_disputed: bool
) -> ChargeRecord:
    amount = money_of(row["transaction_amount"])
    # Refunds stand in the report as amounts below zero.
    back = -sum((each.minor for each in returned), 0)
    return ChargeRecord(
        reference=str(row["invoice_id"]),
        gateway_reference=str(row["transaction_id"]),
        status=AnswerStatus.SUCCEEDED,
        amount=amount,
        refunded=Money(back, amount.currency),
        created_at=datetime.fromisoformat(str(row["transaction_initiation_date"])),
        is_disputed=is_disputed,
    )


def _first(row: Mapping[str, Any]) -> str:
    return str(row.get("custom_field", "")).partition(" ")[0]


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
