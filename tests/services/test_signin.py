"""Codes, links and passwords: each works once, none is stored, nobody learns who is a customer."""

from statistics import quantiles
from time import perf_counter

import pytest
import sqlalchemy as sa

from storefront.hooks import Identity
from storefront.models import Customer, HostIdentity, LoginLink, LoginSession, OutboxMessage
from storefront.operations.secrets import OneTime, hash_secret, one_time
from storefront.queries.logins import customer_of_session
from storefront.runtime import Runtime
from storefront.services import sessions, signin
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_customer


@pytest.fixture
def ada(rt: Runtime) -> Customer:
    return make_customer(rt, email="ada@example.org")


def mailed(rt: Runtime) -> list[OneTime]:
    """Return what the sign-in mails carry, oldest first."""
    rows = rt.session.scalars(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == "sign_in")
        .order_by(OutboxMessage.id)
    ).all()
    rt.session.rollback()
    return [one_time(rt.settings.secret_key, row["nonce"]) for row in rows]


def ask(rt: Runtime) -> OneTime:
    signin.request_link(rt, "ada@example.org")
    return mailed(rt)[-1]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_the_code_of_the_mail_opens_once(rt: Runtime, ada: Customer) -> None:
    code = ask(rt).code
    assert signin.take_code(rt, "ada@example.org", code).id == ada.id
    with pytest.raises(signin.CodeRefused):
        signin.take_code(rt, "ada@example.org", code)


def test_the_link_of_the_mail_opens_once(rt: Runtime, ada: Customer) -> None:
    token = ask(rt).token
    assert signin.take_link(rt, token).id == ada.id
    with pytest.raises(signin.LinkRefused):
        signin.take_link(rt, token)


def test_code_and_link_are_one_thing(rt: Runtime, ada: Customer) -> None:
    secret = ask(rt)
    signin.take_link(rt, secret.token)
    with pytest.raises(signin.CodeRefused):
        signin.take_code(rt, "ada@example.org", secret.code)


def test_neither_works_after_ten_minutes(rt: Runtime, clock: FrozenClock, ada: Customer) -> None:
    secret = ask(rt)
    clock.advance(minutes=10)
    with pytest.raises(signin.CodeRefused):
        signin.take_code(rt, "ada@example.org", secret.code)
    with pytest.raises(signin.LinkRefused):
        signin.take_link(rt, secret.token)


def test_a_code_opens_only_its_own_account(rt: Runtime, ada: Customer) -> None:
    make_customer(rt, email="eve@example.org")
    code = ask(rt).code
    with pytest.raises(signin.CodeRefused):
        signin.take_code(rt, "eve@example.org", code)


def test_five_wrong_codes_kill_the_code_but_not_the_link(rt: Runtime, ada: Customer) -> None:
    secret = ask(rt)
    left = []
    for _ in range(5):
        with pytest.raises(signin.CodeRefused) as refused:
            signin.take_code(rt, "ada@example.org", wrong(secret.code))
        left.append(refused.value.params["left"])
    assert left == [4, 3, 2, 1, 0]
    with pytest.raises(signin.CodeRefused):
        signin.take_code(rt, "ada@example.org", secret.code)
    assert signin.take_link(rt, secret.token).id == ada.id


def test_a_new_code_works_after_the_old_one_died(rt: Runtime, ada: Customer) -> None:
    code = ask(rt).code
    for _ in range(5):
        with pytest.raises(signin.CodeRefused):
            signin.take_code(rt, "ada@example.org", wrong(code))
    assert signin.take_code(rt, "ada@example.org", ask(rt).code).id == ada.id


def test_an_unknown_address_leaves_no_trace(rt: Runtime, ada: Customer) -> None:
    signin.request_link(rt, "nobody@example.org")
    assert mailed(rt) == []
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(LoginLink)) == 0


def test_known_and_unknown_addresses_take_as_long(rt: Runtime, ada: Customer) -> None:
    times: dict[str, list[float]] = {"ada@example.org": [], "nobody@example.org": []}
    for _ in range(40):
        for email, taken in times.items():
            start = perf_counter()
            signin.request_link(rt, email)
            taken.append(perf_counter() - start)
    # The lower quartile: a busy machine makes some tries slow, never any of them fast.
    known, unknown = (quantiles(taken)[0] for taken in times.values())
    assert abs(known - unknown) < 0.010


def test_the_database_holds_no_secret_of_a_mail(rt: Runtime, ada: Customer) -> None:
    secret = ask(rt)
    stored = []
    for table in ("outbox_message", "login_link"):
        stored += [str(tuple(row)) for row in rt.session.execute(sa.text(f"SELECT * FROM {table}"))]
    text = " ".join(stored)
    assert secret.token not in text
    assert f"'{secret.code}'" not in text
    assert hash_secret(secret.code) not in text


def test_a_mailed_code_proves_the_mailbox(rt: Runtime, ada: Customer) -> None:
    signin.take_code(rt, "ada@example.org", ask(rt).code)
    rt.session.rollback()
    fresh = rt.session.scalars(sa.select(Customer)).one()
    assert fresh.email_verified_at == rt.now()


def test_a_password_opens_and_another_does_not(rt: Runtime, ada: Customer) -> None:
    assert signin.check_password(rt, "ada@example.org", "") is None
    signin.change_password(rt, ada.id, "", "a good password")
    found = signin.check_password(rt, "ada@example.org", "a good password")
    assert found is not None
    assert found.id == ada.id
    assert signin.check_password(rt, "ada@example.org", "a bad password") is None
    assert signin.check_password(rt, "nobody@example.org", "a good password") is None


def test_a_password_is_changed_only_with_the_present_one(rt: Runtime, ada: Customer) -> None:
    signin.change_password(rt, ada.id, "", "a good password")
    with pytest.raises(signin.WrongPassword):
        signin.change_password(rt, ada.id, "guessed", "another password")
    signin.change_password(rt, ada.id, "a good password", "another password")
    assert signin.check_password(rt, "ada@example.org", "another password") is not None


@pytest.mark.parametrize("bad", ["ninechars", "aaaaaaaaaaaa", "ada@example.org"])
def test_a_password_nobody_should_use_is_refused(rt: Runtime, ada: Customer, bad: str) -> None:
    with pytest.raises((signin.PasswordTooShort, signin.PasswordTooPlain)):
        signin.change_password(rt, ada.id, "", bad)


def test_a_session_ends_for_good(rt: Runtime, ada: Customer) -> None:
    secret = sessions.start_session(rt, ada.id, "code", "192.0.2.1", "test")
    found = customer_of_session(rt.session, secret, rt.now())
    assert found is not None
    assert found.id == ada.id
    rt.session.rollback()
    sessions.end_session(rt, found.session_id or 0)
    assert customer_of_session(rt.session, secret, rt.now()) is None


def test_a_session_row_keeps_only_the_hash(rt: Runtime, ada: Customer) -> None:
    secret = sessions.start_session(rt, ada.id, "code", "", "")
    row = rt.session.scalars(sa.select(LoginSession)).one()
    assert row.token_hash == hash_secret(secret)
    assert secret not in str(vars(row))


def test_signing_out_everywhere_keeps_this_browser(rt: Runtime, ada: Customer) -> None:
    secrets = [sessions.start_session(rt, ada.id, "code", "", "") for _ in range(3)]
    here = customer_of_session(rt.session, secrets[1], rt.now())
    assert here is not None
    rt.session.rollback()
    assert sessions.end_all_sessions(rt, ada.id, keep=here.session_id) == 2
    alive = [customer_of_session(rt.session, one, rt.now()) is not None for one in secrets]
    assert alive == [False, True, False]


def test_a_customer_cannot_end_somebody_elses_session(rt: Runtime, ada: Customer) -> None:
    secret = sessions.start_session(rt, ada.id, "code", "", "")
    eve = make_customer(rt)
    reference = hash_secret(secret)[:24]
    assert not sessions.revoke(rt, eve.id, reference)
    assert sessions.revoke(rt, ada.id, reference)


VERIFIED = Identity("host-7", "Ada@Example.org", email_verified=True, name="Ada Weber")


def test_a_verified_host_user_is_the_customer_of_that_address(rt: Runtime, ada: Customer) -> None:
    for _ in range(2):
        found = signin.welcome_host(rt, "host", VERIFIED)
        assert found is not None
        assert found.id == ada.id
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(HostIdentity)) == 1


def test_a_new_verified_host_user_becomes_a_customer(rt: Runtime) -> None:
    found = signin.welcome_host(rt, "host", VERIFIED)
    assert found is not None
    made = rt.session.scalars(sa.select(Customer)).one()
    assert (made.id, made.email, made.name) == (found.id, "ada@example.org", "Ada Weber")
    assert made.email_verified_at is not None


def test_an_unproven_address_never_links_to_an_account(rt: Runtime, ada: Customer) -> None:
    stranger = Identity("host-8", "ada@example.org", email_verified=False, name="Eve")
    assert signin.welcome_host(rt, "host", stranger) is None
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(HostIdentity)) == 0


def test_a_host_user_keeps_the_account_when_the_address_changes(rt: Runtime, ada: Customer) -> None:
    signin.welcome_host(rt, "host", VERIFIED)
    moved = Identity("host-7", "new@example.org", email_verified=True)
    found = signin.welcome_host(rt, "host", moved)
    assert found is not None
    assert found.id == ada.id


def test_a_host_user_is_linked_after_proving_the_same_mailbox_here(
    rt: Runtime, ada: Customer
) -> None:
    unproven = Identity("host-9", "ada@example.org")
    other = Identity("host-10", "eve@example.org")
    assert not signin.link_host(rt, "host", other, ada.id)
    assert signin.link_host(rt, "host", unproven, ada.id)
    assert not signin.link_host(rt, "host", unproven, ada.id)
