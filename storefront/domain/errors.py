"""What the domain refuses, as a code and values that a page can put into words."""

from typing import Any, ClassVar


class DomainError(Exception):
    """A rule said no.

    ``code`` is a stable string; ``params`` are plain values for the sentence. The page
    words both (translated); the domain itself never speaks to a person. Subclass it and
    set ``code``; pass the values by name.

    >>> class TooLate(DomainError):
    ...     code = "too_late"
    >>> TooLate(cutoff_on="2027-03-11").params
    {'cutoff_on': '2027-03-11'}
    >>> str(TooLate(cutoff_on="2027-03-11"))
    'too_late (cutoff_on=2027-03-11)'
    """

    code: ClassVar[str] = "domain_error"

    def __init__(self, message: str = "", **params: Any) -> None:
        self.params: dict[str, Any] = params
        super().__init__(message or self._described())

    def _described(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.code} ({values})" if values else self.code
