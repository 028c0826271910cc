"""Find out who somebody is: by a mailed code or link, a password, or the shop around us.

Nothing here tells whether an e-mail address is known: unknown and known take the same way.
Counting tries is the page's business (``services.throttle``), starting a session too.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.errors import DomainError
from storefront.domain.passwords import is_easy_to_guess
from storefront.domain.privacy import NotAnEmail, normalise_email
from storefront.hooks import Identity
from storefront.models import Customer, HostIdentity, LoginLink, OutboxMessage, Staff
from storefront.models.base import public_id, table_of
from storefront.operations.consents import fulfil_wish
from storefront.operations.outbox import Message, enqueue
from storefront.operations.secrets import hash_code, hash_secret, new_nonce, one_time
from storefront.runtime import Runtime

#: How long a mailed code and link work.
LINK_LASTS = timedelta(minutes=10)
#: Wrong codes after which the codes sent so far die; their links go on working.
CODE_TRIES = 5
PASSWORD_LENGTH = 10
#: What a mailed code is for; one for the one is none for the other.
SIGN_IN, ERASE, TWO_STEP, EMAIL = "sign_in", "erase", "two_step", "email"


class CodeRefused(DomainError):
    """The code matches no live mail of that address. ``left`` tries remain."""

    code = "code_refused"


class LinkRefused(DomainError):
    """The link was used, is too old, or never was one."""

    code = "link_refused"


class PasswordTooShort(DomainError):
    """Shorter than ``length``."""

    code = "password_too_short"


class PasswordTooPlain(DomainError):
    """Among the first that anybody would try; see ``domain.passwords``."""

    code = "password_too_plain"


class WrongPassword(DomainError):
    """The present password does not match."""

    code = "wrong_password"


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """Somebody who has proved who they are."""

    id: int
    name: str


def request_link(
    rt: Runtime, email: str, next_target: str | None = None, purpose: str = SIGN_IN
) -> None:
    """Mail a code and a link to ``email`` if it has an account; otherwise only look busy.

    For ``ERASE`` the mail says that its code deletes the account, for ``TWO_STEP`` that it
    changes the sign-in, for ``EMAIL`` that it lets somebody change the address; none has a link.
    The mail is made from the outbox row alone: its nonce and the shop's key give code and
    link (``operations.secrets.one_time``), so neither stands in the database.
    """
    now, nonce = rt.now(), new_nonce()
    secret = one_time(rt.settings.secret_key, nonce)
    payload = _payload(nonce, next_target, purpose)
    message = Message("mail", "sign_in", f"mail:sign_in:{nonce}", payload)

    def write() -> None:
        customer = rt.session.execute(
            sa.select(Customer.id).where(Customer.email == email)
        ).scalar_one_or_none()
        if customer is None:
            # The same work as for a known address, then gone: nobody can tell by the clock.
            enqueue(rt.session, [message], now)
            rt.session.execute(
                sa.delete(OutboxMessage).where(table_of(OutboxMessage).c.key == message.key)
            )
        else:
            rt.session.execute(
                sa.insert(LoginLink).values(
                    customer_id=customer,
                    purpose=purpose,
                    token_hash=hash_secret(secret.token),
                    code_hash=hash_code(rt.settings.secret_key, secret.code),
                    created_at=now,
                    expires_at=now + LINK_LASTS,
                    tries=0,
                )
            )
            mine = Message(message.kind, message.topic, message.key, message.payload, customer)
            enqueue(rt.session, [mine], now)
        rt.session.commit()

    retrying(rt.session, write)


def _payload(nonce: str, next_target: str | None, purpose: str) -> dict[str, str]:
    payload = {"nonce": nonce}
    if next_target:
        payload["next"] = next_target
    if purpose != SIGN_IN:
        payload["for"] = purpose
    return payload


def take_code(rt: Runtime, email: str, code: str, purpose: str = SIGN_IN) -> KnownCustomer:
    """Use a mailed code once. Raises ``CodeRefused`` with the tries that are left."""
    now, digest = rt.now(), hash_code(rt.settings.secret_key, code)
    links = table_of(LoginLink)

    def write() -> KnownCustomer | int:
        live = rt.session.execute(
            sa.select(links.c.id, links.c.customer_id, links.c.code_hash, links.c.tries)
            .join(Customer, Customer.id == links.c.customer_id)
            .where(
                Customer.email == email,
                links.c.purpose == purpose,
                links.c.used_at.is_(None),
                links.c.expires_at > now,
                links.c.tries < CODE_TRIES,
            )
            .order_by(links.c.id.desc())
        ).all()
        matching = [row for row in live if hmac.compare_digest(row.code_hash, digest)]
        if matching and _use(rt, matching[0].id):
            found = _proved(rt, matching[0].customer_id)
            rt.session.commit()
            return found
        ids = [row.id for row in live]
        rt.session.execute(
            sa.update(links).where(links.c.id.in_(ids)).values(tries=links.c.tries + 1)
        )
        rt.session.commit()
        return CODE_TRIES - 1 - max((row.tries for row in live), default=CODE_TRIES - 1)

    outcome = retrying(rt.session, write)
    if isinstance(outcome, KnownCustomer):
        return outcome
    raise CodeRefused(left=max(outcome, 0))


def take_link(rt: Runtime, token: str) -> KnownCustomer:
    """Use a mailed link once. Raises ``LinkRefused``."""
    now = rt.now()
    links = table_of(LoginLink)

    def write() -> KnownCustomer | None:
        row = rt.session.execute(
            sa.select(links.c.id, links.c.customer_id).where(
                links.c.token_hash == hash_secret(token),
                links.c.purpose == SIGN_IN,
                links.c.used_at.is_(None),
                links.c.expires_at > now,
            )
        ).one_or_none()
        found = _proved(rt, row.customer_id) if row and _use(rt, row.id) else None
        rt.session.commit()
        return found

    found = retrying(rt.session, write)
    if found is None:
        raise LinkRefused
    return found


def _use(rt: Runtime, link_id: int) -> bool:
    """Mark a link used; False if somebody else was faster."""
    links = table_of(LoginLink)
    used = rt.session.execute(
        sa.update(links)
        .where(links.c.id == link_id, links.c.used_at.is_(None))
        .values(used_at=rt.now())
        .returning(links.c.id)
    )
    return used.one_or_none() is not None


def _proved(rt: Runtime, customer_id: int) -> KnownCustomer:
    """Note that this person reads the mailbox, and return who it is."""
    table = table_of(Customer)
    first = rt.session.execute(
        sa.update(table)
        .where(table.c.id == customer_id, table.c.email_verified_at.is_(None))
        .values(email_verified_at=rt.now())
        .returning(table.c.id)
    ).one_or_none()
    if first is not None:
        fulfil_wish(rt.session, customer_id, rt.moment())
    row = rt.session.execute(
        sa.select(table.c.id, table.c.name).where(table.c.id == customer_id)
    ).one()
    return KnownCustomer(row.id, row.name)


def check_password(rt: Runtime, email: str, password: str) -> KnownCustomer | None:
    """Return the customer if the password is right; an unknown address takes as long."""
    table = table_of(Customer)
    with reading():
        row = rt.session.execute(
            sa.select(table.c.id, table.c.name, table.c.password_hash).where(table.c.email == email)
        ).one_or_none()
        rt.session.rollback()
    if not rt.passwords.verify(row.password_hash if row else None, password) or row is None:
        return None
    if rt.passwords.is_outdated(row.password_hash):
        _store_password(rt, row.id, password)
    return KnownCustomer(row.id, row.name)


def change_password(rt: Runtime, customer_id: int, present: str, new: str) -> None:
    """Set the password; one that was set before must be given.

    The caller ends the customer's other sessions. Raises ``WrongPassword``,
    ``PasswordTooShort`` or ``PasswordTooPlain``.
    """
    table = table_of(Customer)
    with reading():
        row = rt.session.execute(
            sa.select(table.c.email, table.c.password_hash).where(table.c.id == customer_id)
        ).one()
        rt.session.rollback()
    if row.password_hash is not None and not rt.passwords.verify(row.password_hash, present):
        raise WrongPassword
    check_new_password(new, row.email)
    _store_password(rt, customer_id, new)


def check_new_password(password: str, email: str) -> None:
    """Raise ``PasswordTooShort`` or ``PasswordTooPlain`` for a password nobody should use."""
    if len(password) < PASSWORD_LENGTH:
        raise PasswordTooShort(length=PASSWORD_LENGTH)
    if is_easy_to_guess(password, email):
        raise PasswordTooPlain


def _store_password(rt: Runtime, customer_id: int, password: str) -> None:
    digest = rt.passwords.hash(password)
    table = table_of(Customer)

    def write() -> None:
        rt.session.execute(
            sa.update(table).where(table.c.id == customer_id).values(password_hash=digest)
        )
        rt.session.commit()

    retrying(rt.session, write)


def check_staff_password(rt: Runtime, email: str, password: str) -> int | None:
    """Return the key of the staff user if the password is right and the sign-in not disabled."""
    table = table_of(Staff)
    with reading():
        row = rt.session.execute(
            sa.select(table.c.id, table.c.password_hash).where(
                table.c.email == email, table.c.disabled_at.is_(None)
            )
        ).one_or_none()
        rt.session.rollback()
    right = rt.passwords.verify(row.password_hash if row else None, password)
    return row.id if right and row else None


def may_welcome(identity: Identity) -> bool:
    """True if the shop around us has proven an e-mail address that can be an account's."""
    return bool(_proven_mail(identity))


def _proven_mail(identity: Identity) -> str:
    """Return the address the host has proven, normalised; empty when there is none."""
    try:
        return normalise_email(identity.email) if identity.email_verified else ""
    except NotAnEmail:
        return ""


def welcome_host(rt: Runtime, host: str, identity: Identity) -> KnownCustomer | None:
    """Return the customer of a person whom the shop around us has signed in.

    Known by the host's own id; else, when the host has proven the e-mail address, by that
    address, which is then linked, or as a new customer. None for an unproven address: its
    owner may be somebody else and signs in here once, by mail.
    """
    email = _proven_mail(identity)

    def write() -> KnownCustomer | None:
        known = rt.session.execute(
            sa.select(Customer.id, Customer.name)
            .join(HostIdentity, HostIdentity.customer_id == Customer.id)
            .where(HostIdentity.host == host, HostIdentity.host_ref == identity.ref)
        ).one_or_none()
        if known is None and email:
            customer = _customer_of_mail(rt, email, identity)
            _link(rt, host, identity.ref, customer.id)
            rt.session.commit()
            return customer
        rt.session.rollback()
        return KnownCustomer(known.id, known.name) if known else None

    try:
        return retrying(rt.session, write)
    except sa.exc.IntegrityError:
        # Two tabs at once: the other one has just made the link.
        return retrying(rt.session, write)


def link_host(rt: Runtime, host: str, identity: Identity, customer_id: int) -> bool:
    """Link the host's person to a customer who has just proved to read the same mailbox.

    False, and nothing done, when the addresses differ or somebody is linked already.
    """

    def write() -> bool:
        email = rt.session.execute(
            sa.select(Customer.email).where(Customer.id == customer_id)
        ).scalar_one()
        try:
            same = normalise_email(identity.email) == email
        except NotAnEmail:
            same = False
        if same:
            _link(rt, host, identity.ref, customer_id)
        rt.session.commit()
        return same

    try:
        return retrying(rt.session, write)
    except sa.exc.IntegrityError:
        return False


def _customer_of_mail(rt: Runtime, email: str, identity: Identity) -> KnownCustomer:
    found = rt.session.execute(
        sa.select(Customer.id, Customer.name).where(Customer.email == email)
    ).one_or_none()
    if found is not None:
        return _proved(rt, found.id)
    row = Customer(
        public_id=public_id("cus"),
        email=email,
        name=identity.name[:80],
        password_hash=None,
        locale=identity.locale[:12],
        email_verified_at=rt.now(),
        created_at=rt.now(),
    )
    rt.session.add(row)
    rt.session.flush()
    return KnownCustomer(row.id, row.name)


def _link(rt: Runtime, host: str, ref: str, customer_id: int) -> None:
    rt.session.execute(
        sa.insert(HostIdentity).values(
            customer_id=customer_id, host=host, host_ref=ref, created_at=rt.now()
        )
    )
