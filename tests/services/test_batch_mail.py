"""The file of a batch by mail, and the event for plugins: whole, and once for each batch."""

import io
import zipfile
from email import message_from_bytes
from email.policy import default

import pytest
import sqlalchemy as sa

from storefront import mails_batches
from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.boxes import BoxState
from storefront.hooks import API, StorefrontPlugin, hookimpl
from storefront.jobs.work import EXPORT, OUTBOX, run_job
from storefront.models import BoxCycle, CycleGroup, FulfilmentBatch, OutboxMessage
from storefront.operations.batch_news import BATCH_EXPORTED, BATCH_FILE
from storefront.services.fulfilment import export_boxes, recheck_batch
from storefront.services.outbox import send_again
from storefront.testing.factories import make_group, make_plan
from tests.support.boxes import make_box

SHIP_TO = {"name": "Zoë", "street": "Lindenweg 4", "city": "Jena", "country": "DE"}
PACKING = {"plan": "Pot", "email": "", "contents": [], "weight_grams": 0}
TO = "packing@shop.example"


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


@pytest.fixture
def cycle(rt):
    plan = make_plan(rt, group=make_group(rt))
    first = sa.select(sa.func.min(BoxCycle.id)).scalar_subquery()
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.id == first).values(state="locked"))
    rt.session.execute(sa.update(CycleGroup).values(export_mail=TO))
    rt.session.commit()
    found = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.id)).first()
    make_box(rt, plan, found, state=BoxState.LOCKED, ship_to=SHIP_TO, packing=PACKING)
    rt.session.refresh(found)
    rt.session.expunge(found)
    rt.session.rollback()
    return found


class Listener(StorefrontPlugin):
    """Hears of events and does nothing."""

    name, api = "listener", API

    @hookimpl
    def on_event(self, event):
        pass


@pytest.fixture
def heard(rt):
    assert rt.hooks.register(Listener())


def messages(rt, topic):
    rows = rt.session.scalars(sa.select(OutboxMessage).where(OutboxMessage.topic == topic)).all()
    rt.session.expunge_all()
    rt.session.rollback()
    return rows


def sent(rt):
    """Return the mails in the mailbox that brought a file."""
    found = [
        message_from_bytes(path.read_bytes(), policy=default)
        for path in sorted((rt.settings.data_dir / "mail").glob("*.eml"))
    ]
    return [mail for mail in found if list(mail.iter_attachments())]


def test_the_file_is_mailed_whole_to_who_packs(rt, cycle):
    batch = export_boxes(rt, cycle.public_id)
    assert run_job(rt, OUTBOX)

    (mail,) = sent(rt)
    (file,) = mail.iter_attachments()
    assert mail["To"] == TO
    assert file.get_filename() == batch.file_name.rpartition("/")[2]
    assert file.get_payload(decode=True) == rt.files.path_of(batch.file_name).read_bytes()


def test_it_is_told_once_for_each_batch(rt, cycle, heard):
    batch = export_boxes(rt, cycle.public_id)
    assert export_boxes(rt, cycle.public_id) is None
    recheck_batch(rt, batch.public_id)

    assert len(messages(rt, BATCH_FILE)) == 1
    (event,) = messages(rt, BATCH_EXPORTED)
    data = event.payload["data"]
    assert (event.payload["subject"], data["boxes"], data["sha256"]) == (
        batch.public_id,
        1,
        batch.sha256,
    )
    assert data["file"] == str(rt.files.path_of(batch.file_name))


@pytest.mark.parametrize("point", ["export.before_publish", "export.after_publish"])
def test_nothing_is_told_of_a_batch_that_is_not_closed(rt, cycle, heard, point):
    arm(f"{point}:raise")
    with pytest.raises(FailpointReached):
        export_boxes(rt, cycle.public_id)
    assert messages(rt, BATCH_FILE) == messages(rt, BATCH_EXPORTED) == []
    arm("")

    export_boxes(rt, cycle.public_id)

    assert len(messages(rt, BATCH_FILE)) == len(messages(rt, BATCH_EXPORTED)) == 1


def test_without_a_plugin_that_listens_there_is_no_event(rt, cycle):
    export_boxes(rt, cycle.public_id)

    assert messages(rt, BATCH_EXPORTED) == []


def test_a_group_without_an_address_mails_nothing(rt, cycle, heard):
    rt.session.execute(sa.update(CycleGroup).values(export_mail=""))
    rt.session.commit()

    export_boxes(rt, cycle.public_id)

    assert messages(rt, BATCH_FILE) == []
    assert len(messages(rt, BATCH_EXPORTED)) == 1


def test_a_file_that_is_too_large_is_named_and_not_attached(rt, cycle, monkeypatch):
    monkeypatch.setattr(mails_batches, "MOST_ATTACHED", 1)
    export_boxes(rt, cycle.public_id)
    run_job(rt, OUTBOX)

    assert sent(rt) == []
    texts = [path.read_text() for path in (rt.settings.data_dir / "mail").glob("*.eml")]
    assert any("not attached" in text for text in texts)


def test_a_file_that_is_gone_is_made_again_for_the_mail(rt, cycle):
    batch = export_boxes(rt, cycle.public_id)
    before = rt.files.path_of(batch.file_name).read_bytes()
    rt.files.path_of(batch.file_name).unlink()
    run_job(rt, OUTBOX)
    (message,) = messages(rt, BATCH_FILE)
    assert send_again(rt, message.public_id)
    run_job(rt, OUTBOX)

    (mail,) = sent(rt)
    assert next(iter(mail.iter_attachments())).get_payload(decode=True) == before


def test_the_worker_writes_and_mails_a_workbook_that_is_the_same_when_it_is_made_again(rt, cycle):
    rt.session.execute(sa.update(CycleGroup).values(export_format="generic_xlsx"))
    rt.session.commit()

    assert run_job(rt, EXPORT)
    assert run_job(rt, OUTBOX)

    (mail,) = sent(rt)
    (file,) = mail.iter_attachments()
    assert file.get_filename().endswith("-batch-1.xlsx")
    assert file.get_content_type().endswith("spreadsheetml.sheet")
    data = file.get_payload(decode=True)
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert "Zoë" in book.read("xl/worksheets/sheet1.xml").decode()
    batch = rt.session.scalar(sa.select(FulfilmentBatch.public_id))
    rt.session.rollback()
    again = recheck_batch(rt, batch)
    assert (again.is_same, again.file_was_right, again.rows) == (True, True, 1)
    assert [each.name for each in (rt.files.folder / "exports").iterdir()] == [file.get_filename()]
