"""A bank without a database, for measuring the engine and nothing else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from storefront_demo_gateway.records import BankCharge, BankDispute, BankRefund


class QuickBank:
    """Approves every charge, at once or after ``answer_ms``; still once per reference.

    It has no pages, no cards and no faults. Memory grows by one record per charge.
    """

    def __init__(self, answer_ms: float = 0) -> None:
        self._seconds = answer_ms / 1000
        self._charges: dict[str, BankCharge] = {}
        self._executed: Counter[str] = Counter()
        self._refunds: dict[str, BankRefund] = {}

    def charge(self, reference: str, details: dict[str, Any]) -> BankCharge:
        if self._seconds:
            time.sleep(self._seconds)
        fresh = BankCharge(
            reference=reference,
            gateway_reference=f"demo_ch_{reference}",
            token=details["token"],
            amount_minor=details["amount_minor"],
            currency=details["currency"],
            invoice=details["invoice"],
            status="succeeded",
            reason="",
            decline="",
            refunded_minor=0,
            return_url="",
            merchant="",
            created_at="",
        )
        # setdefault is one step for all threads: exactly one of them gets its own record back.
        kept = self._charges.setdefault(reference, fresh)
        if kept is fresh:
            self._executed[details["invoice"] or reference] += 1
        return kept

    def charge_of(self, reference: str) -> BankCharge | None:
        return self._charges.get(reference)

    def cancel(self, reference: str) -> BankCharge | None:
        return self._charges.get(reference)

    def refund(self, reference: str, details: dict[str, Any]) -> BankRefund:
        own = f"demo_re_{reference}"
        fresh = BankRefund(reference, own, status="succeeded", reason="", **details)
        return self._refunds.setdefault(reference, fresh)

    def refund_of(self, reference: str) -> BankRefund | None:
        return self._refunds.get(reference)

    def detach(self, token: str) -> bool:
        return True

    def is_gone(self, token: str) -> bool:
        return False

    def disputes_of(self, charge_reference: str) -> Sequence[BankDispute]:
        return []

    def charges_since(self, since: str) -> Sequence[BankCharge]:
        return list(self._charges.values())

    def executed_count(self, reference: str = "") -> int:
        """How many charges were executed: all, or those of one reference."""
        return int(reference in self._charges) if reference else len(self._charges)

    def double_charges(self) -> list[list[Any]]:
        """``[invoice, how often]`` for each invoice for which money moved twice."""
        return [[what, times] for what, times in self._executed.items() if times > 1]
