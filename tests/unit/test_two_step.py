"""Codes of authenticators by RFC 6238, and seals."""

from datetime import UTC, datetime, timedelta

import pytest

from storefront.adapters import totp
from storefront.adapters.sealing import seal, unseal

#: "12345678901234567890", the secret of the RFC's examples.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
NOW = datetime(2027, 3, 1, 12, 0, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_rfc(seconds, code):
    at = datetime.fromtimestamp(seconds, UTC)
    assert totp.code_at(RFC_SECRET, at) == code
    assert totp.matching_step(RFC_SECRET, code, at) == seconds // 30


def test_the_code_before_and_after_is_taken_and_no_other():
    taken = [
        totp.matching_step(RFC_SECRET, totp.code_at(RFC_SECRET, NOW + shift), NOW) is not None
        for shift in (timedelta(seconds=30 * steps) for steps in (-2, -1, 0, 1, 2))
    ]
    assert taken == [False, True, True, True, False]


def test_the_address_names_shop_and_account_and_is_never_too_long_for_a_code():
    found = totp.address_for_apps(RFC_SECRET, "a" * 250 + "@x.org", "Pot: tea & more " * 9)
    assert found.startswith("otpauth://totp/Pot%20")
    assert f"secret={RFC_SECRET}" in found
    assert len(found) <= 412
    assert len(totp.address_for_apps(RFC_SECRET, "あ" * 80, "茶" * 80)) <= 412


def test_secrets_are_all_different_and_long():
    made = {totp.new_secret() for _each in range(50)}
    assert len(made) == 50
    assert {len(one) for one in made} == {32}


def test_a_seal_opens_under_its_key_and_purpose_alone():
    sealed = seal(["one key"], "second step", "secret")
    assert "secret" not in sealed
    assert unseal(["one key"], "second step", sealed) == "secret"
    assert unseal(["a new key", "one key"], "second step", sealed) == "secret"
    assert unseal(["a new key"], "second step", sealed) is None
    assert unseal(["one key"], "another use", sealed) is None
    assert unseal(["one key"], "second step", sealed[:-4] + "AAAA") is None
