"""The second step of a sign-in: sealed, once, replaced, switched off, gone with the person."""

from datetime import datetime

import pytest
import sqlalchemy as sa

from storefront.adapters import totp
from storefront.adapters.sealing import unseal
from storefront.domain.two_step import NotBegun, WrongSecondStep
from storefront.models import AuditEntry, Customer, OutboxMessage, RecoveryCode, TwoStep
from storefront.queries.own_data import everything_of
from storefront.queries.two_step import two_step_of
from storefront.runtime import Runtime
from storefront.services import two_step
from storefront.services.erasure import ask_erasure
from storefront.services.merging import merge_customers
from storefront.services.two_step import Person
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_customer
from tests.support.admin import make_staff


@pytest.fixture
def ada(rt: Runtime) -> Customer:
    return make_customer(rt, email="ada@example.org")


def secret_of(rt: Runtime) -> str:
    sealed = rt.session.scalars(sa.select(TwoStep.secret_sealed)).one()
    rt.session.rollback()
    found = unseal(rt.settings.secret_keys, "second step", sealed)
    assert found is not None
    return found


def code(rt: Runtime, at: datetime | None = None) -> str:
    return totp.code_at(secret_of(rt), at or rt.now())


def switched_on(rt: Runtime, person: Person) -> list[str]:
    two_step.begin(rt, person)
    return two_step.confirm(rt, person, code(rt))


def is_taken(rt: Runtime, person: Person, typed: str) -> bool:
    try:
        two_step.take_second_step(rt, person, typed)
    except WrongSecondStep:
        return False
    return True


def count(rt: Runtime, model: type[TwoStep] | type[RecoveryCode]) -> int:
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model))
    rt.session.rollback()
    return found or 0


def test_nothing_is_asked_before_a_first_code_was_typed(rt: Runtime, ada: Customer) -> None:
    person = Person("customer", ada.id)
    two_step.begin(rt, person)
    assert not two_step.is_asked(rt, person)
    with pytest.raises(WrongSecondStep):
        two_step.confirm(rt, person, "000000" if code(rt) != "000000" else "000001")
    assert not two_step.is_asked(rt, person)
    assert not is_taken(rt, person, code(rt))
    two_step.confirm(rt, person, code(rt))
    assert two_step.is_asked(rt, person)


def test_a_code_is_taken_once_and_none_before_it(
    rt: Runtime, ada: Customer, clock: FrozenClock
) -> None:
    person = Person("customer", ada.id)
    switched_on(rt, person)
    assert not is_taken(rt, person, code(rt))
    clock.advance(seconds=60)
    before, now = code(rt), None
    clock.advance(seconds=30)
    now = code(rt)
    assert is_taken(rt, person, f" {now[:3]} {now[3:]} ")
    assert not is_taken(rt, person, now)
    assert not is_taken(rt, person, before)
    clock.advance(seconds=30)
    assert is_taken(rt, person, code(rt))


def test_a_recovery_code_is_taken_once_however_it_is_typed(rt: Runtime, ada: Customer) -> None:
    person = Person("customer", ada.id)
    codes = switched_on(rt, person)
    assert len(set(codes)) == 10
    typed = codes[3].upper().replace("-", " ")
    assert is_taken(rt, person, typed)
    assert not is_taken(rt, person, codes[3])
    assert two_step_of(rt.session, customer=ada.id).codes_left == 9


def test_new_recovery_codes_replace_the_earlier_ones(rt: Runtime, ada: Customer) -> None:
    person = Person("customer", ada.id)
    old = switched_on(rt, person)
    new = two_step.renew_codes(rt, person)
    assert not is_taken(rt, person, old[0])
    assert is_taken(rt, person, new[0])
    assert count(rt, RecoveryCode) == 10


def test_a_recovery_code_opens_only_its_own_account(rt: Runtime, ada: Customer) -> None:
    codes = switched_on(rt, Person("customer", ada.id))
    eve = Person("customer", make_customer(rt).id)
    two_step.begin(rt, eve)
    assert not is_taken(rt, eve, codes[0])
    assert is_taken(rt, Person("customer", ada.id), codes[0])


def test_the_database_holds_neither_secret_nor_codes(rt: Runtime, ada: Customer) -> None:
    codes = switched_on(rt, Person("customer", ada.id))
    held = str(rt.session.execute(sa.text("SELECT * FROM two_step")).all())
    held += str(rt.session.execute(sa.text("SELECT * FROM recovery_code")).all())
    held += str(rt.session.execute(sa.text("SELECT payload FROM outbox_message")).all())
    rt.session.rollback()
    assert secret_of(rt) not in held
    assert not any(one in held or one.replace("-", "") in held for one in codes)


def test_what_is_on_cannot_be_begun_anew(rt: Runtime, ada: Customer) -> None:
    person = Person("customer", ada.id)
    switched_on(rt, person)
    with pytest.raises(NotBegun):
        two_step.begin(rt, person)
    with pytest.raises(NotBegun):
        two_step.confirm(rt, person, code(rt))
    assert two_step.setup_of(rt, person, "ada@example.org") is None
    two_step.stop(rt, person)
    assert two_step.is_asked(rt, person)


def test_customers_and_staff_with_the_same_number_are_two(rt: Runtime, ada: Customer) -> None:
    mia = make_staff(rt)
    switched_on(rt, Person("customer", ada.id))
    assert not two_step.is_asked(rt, Person("staff", ada.id))
    assert not two_step.is_asked(rt, Person("staff", mia.id))


def test_switching_is_told_by_mail_and_leaves_nothing(rt: Runtime, ada: Customer) -> None:
    person = Person("customer", ada.id)
    switched_on(rt, person)
    assert two_step.switch_off(rt, person)
    assert not two_step.switch_off(rt, person)
    told = rt.session.scalars(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == "two_step_changed")
        .order_by(OutboxMessage.id)
    ).all()
    rt.session.rollback()
    assert told == [{"is_on": True}, {"is_on": False}]
    assert (count(rt, TwoStep), count(rt, RecoveryCode)) == (0, 0)


def test_staff_reset_a_customers_and_the_log_names_them(rt: Runtime, ada: Customer) -> None:
    mia = make_staff(rt)
    switched_on(rt, Person("customer", ada.id))
    assert two_step.reset_customer(rt, mia, ada.public_id)
    assert not two_step.reset_customer(rt, mia, ada.public_id)
    rows = rt.session.execute(
        sa.select(AuditEntry.staff_id, AuditEntry.object_ref).where(
            AuditEntry.action == "customer.two_step_off"
        )
    ).all()
    assert [tuple(row) for row in rows] == [(mia.id, ada.public_id)]


def test_a_secret_sealed_with_a_lost_key_leaves_the_recovery_codes(
    rt: Runtime, ada: Customer
) -> None:
    person = Person("customer", ada.id)
    codes = switched_on(rt, person)
    rt.session.execute(sa.update(TwoStep).values(secret_sealed="no seal of ours"))
    rt.session.commit()
    assert not is_taken(rt, person, "123456")
    assert is_taken(rt, person, codes[0])


def test_it_is_in_the_copy_of_ones_data_without_what_opens_anything(
    rt: Runtime, ada: Customer
) -> None:
    switched_on(rt, Person("customer", ada.id))
    found = everything_of(rt.session, ada.id)["two_step_sign_in"]
    rt.session.rollback()
    assert [set(row) for row in found] == [{"created_at", "confirmed_at"}]


def test_it_goes_with_the_person(rt: Runtime, ada: Customer) -> None:
    switched_on(rt, Person("customer", ada.id))
    assert ask_erasure(rt, ada.public_id).is_done
    assert (count(rt, TwoStep), count(rt, RecoveryCode)) == (0, 0)


def test_it_goes_with_an_account_that_is_merged_into_another(rt: Runtime, ada: Customer) -> None:
    kept = make_customer(rt, email="ada@work.example")
    switched_on(rt, Person("customer", ada.id))
    merge_customers(rt, make_staff(rt), kept.public_id, ada.public_id)
    assert (count(rt, TwoStep), count(rt, RecoveryCode)) == (0, 0)
