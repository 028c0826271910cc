"""Passwords: argon2id hashes, a check that costs the same for unknown accounts.

Tests and the demo hash at low cost, because they make thousands; production refuses to accept
such a hash, so a demo login copied into a real shop opens nothing.
"""

from __future__ import annotations

from functools import cached_property

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

#: OWASP's second choice of argon2id parameters: 19 MiB, two passes, one lane.
_TIME_COST, _MEMORY_KIB = 2, 19 * 1024
_LOW_TIME_COST, _LOW_MEMORY_KIB = 1, 8
#: Stands in every hash made at low cost.
LOW_COST_MARK = f"$m={_LOW_MEMORY_KIB},t={_LOW_TIME_COST},"


class Passwords:
    """Hashes and checks passwords at one cost."""

    def __init__(self, *, low_cost: bool = False) -> None:
        time_cost = _LOW_TIME_COST if low_cost else _TIME_COST
        memory = _LOW_MEMORY_KIB if low_cost else _MEMORY_KIB
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory, parallelism=1)

    def hash(self, password: str) -> str:
        """Return the hash to store, with its salt and cost inside."""
        return self._hasher.hash(password)

    def verify(self, stored: str | None, password: str) -> bool:
        """Say whether ``password`` made ``stored``.

        None (no such account, no password set) and a hash that is too cheap take as long as a
        wrong password, so that nobody can tell them apart by time.
        """
        if stored is None or not self._is_strong(stored):
            self._matches(self._dummy, password)
            return False
        return self._matches(stored, password)

    def is_outdated(self, stored: str) -> bool:
        """True when the password should be hashed again at today's cost, after a sign-in."""
        return self._hasher.check_needs_rehash(stored)

    def _is_strong(self, stored: str) -> bool:
        try:
            parameters = extract_parameters(stored)
        except InvalidHashError:
            return False
        least = self._hasher
        return (
            parameters.memory_cost >= least.memory_cost and parameters.time_cost >= least.time_cost
        )

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerificationError:
            return False

    @cached_property
    def _dummy(self) -> str:
        return self._hasher.hash("nobody has this password")
