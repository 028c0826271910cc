"""The ports to the outside world."""

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from storefront.adapters import failpoints
from storefront.adapters.clock import DemoClock, SystemClock
from storefront.adapters.failpoints import FailpointReached, failpoint
from storefront.adapters.files import FileStore, Swept
from storefront.adapters.http import MOST_BYTES, ServiceHttp
from storefront.adapters.mail import (
    FileMailbox,
    Mail,
    MailError,
    NullMailer,
    SmtpMailer,
    mailer_for,
)
from storefront.adapters.passwords import Passwords
from storefront.hooks import HttpError

NOW = datetime(2027, 3, 2, 9, tzinfo=UTC)


def mail(**changes: object) -> Mail:
    given: dict[str, object] = {
        "key": "msg_1",
        "sender": "Nine Kettles <tea@shop.example>",
        "to": "ada@customer.example",
        "subject": "Your box \N{EN DASH} März",
        "text": "Guten Tag",
        "sent_at": NOW,
    }
    return Mail(**{**given, **changes})


# ----------------------------------------------------------------------------------- clock


def test_the_system_clock_tells_aware_utc():
    assert SystemClock().now().utcoffset() == timedelta()


def test_all_processes_of_the_demo_share_its_offset(tmp_path: Path):
    web, worker = DemoClock(tmp_path / "clock"), DemoClock(tmp_path / "clock")
    web.move_to(NOW)
    assert abs(worker.now() - NOW) < timedelta(seconds=5)
    web.advance(timedelta(days=30))
    assert abs(worker.now() - NOW - timedelta(days=30)) < timedelta(seconds=5)


def test_the_demo_clock_never_goes_back(tmp_path: Path):
    clock = DemoClock(tmp_path / "clock")
    clock.move_to(NOW)
    with pytest.raises(ValueError, match="forward"):
        clock.move_to(NOW - timedelta(days=1))
    with pytest.raises(ValueError, match="forward"):
        clock.advance(timedelta(seconds=-1))


# ----------------------------------------------------------------------------------- files


def test_a_published_file_comes_with_its_hash_and_row_count(tmp_path: Path):
    done = FileStore(tmp_path).publish_csv("boxes.csv", ["name"], [["Ada"], ["Grace"]])
    assert done.rows == 2
    assert done.path.read_bytes() == b"name\r\nAda\r\nGrace\r\n"
    assert done.sha256 == hashlib.sha256(done.path.read_bytes()).hexdigest()


def test_a_failure_in_the_middle_leaves_the_old_file_and_no_trace(tmp_path: Path):
    store = FileStore(tmp_path)
    store.publish("boxes.csv", [b"old"])

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        store.publish("boxes.csv", broken())
    assert [path.name for path in tmp_path.iterdir()] == ["boxes.csv"]
    assert (tmp_path / "boxes.csv").read_bytes() == b"old"


def test_what_a_killed_writer_left_goes_after_a_day_and_nothing_else(tmp_path: Path):
    folder, a_day_ago = tmp_path / "exports", time.time() - 24 * 3600
    folder.mkdir()
    for name, age in ((".may.csv.1a2b3c4d", 60), (".june.csv.5e6f7a8b", -60), ("may.csv", 60)):
        (folder / name).write_bytes(b"Ada Weber")
        os.utime(folder / name, (a_day_ago - age, a_day_ago - age))
    for name, age in ((".made.1a2b3c4d", 60), (".made.5e6f7a8b", -60), (".mine.1a2b3c4d", 60)):
        (tmp_path / name / "export").mkdir(parents=True)
        os.utime(tmp_path / name, (a_day_ago - age, a_day_ago - age))

    assert FileStore(tmp_path).remove_half_written() == Swept(2)

    assert sorted(path.name for path in folder.iterdir()) == [".june.csv.5e6f7a8b", "may.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".made.5e6f7a8b",
        ".mine.1a2b3c4d",
        "exports",
    ]
    assert FileStore(tmp_path / "not there").remove_half_written() == Swept(0)


def test_what_cannot_be_removed_keeps_nothing_else_from_going(tmp_path: Path, caplog):
    store, kept, a_day_ago = tmp_path / "files", tmp_path / "kept", time.time() - 24 * 3600 - 60
    kept.mkdir()
    os.utime(kept, (a_day_ago, a_day_ago))
    stuck = [f".made.{n}a2b3c4d" for n in range(3)]
    gone = [f".made.{n}e6f7a8b" for n in range(3)]
    for name in gone:
        (store / name / "export").mkdir(parents=True)
        os.utime(store / name, (a_day_ago, a_day_ago))
    for name in stuck:
        # A folder that leads elsewhere is never removed with what is in it.
        (store / name).symlink_to(kept, target_is_directory=True)

    assert FileStore(store).remove_half_written() == Swept(3, 3)

    assert sorted(path.name for path in store.iterdir()) == stuck
    assert kept.is_dir()
    assert all(name in caplog.text for name in stuck)


@pytest.mark.parametrize("name", ["../out.csv", "/etc/passwd", "a/../../b", ""])
def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="leads out"):
        FileStore(tmp_path / "files").publish(name, [b"x"])


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_a_name_is_never_run_as_a_formula(tmp_path: Path, start: str):
    done = FileStore(tmp_path).publish_csv("x.csv", ["name"], [[f"{start}1+1"]])
    assert done.path.read_text().splitlines()[1].strip('"').startswith("'")


# ------------------------------------------------------------------------------------ mail


def test_the_same_mail_twice_is_one_file(tmp_path: Path):
    mailbox = FileMailbox(tmp_path)
    mailbox.send(mail(html="<p>Guten Tag</p>"))
    mailbox.send(mail(html="<p>Guten Tag</p>"))
    (message,) = mailbox.read()
    assert message["Subject"] == "Your box \N{EN DASH} März"
    assert message["Message-ID"] == "<msg_1@shop.example>"
    body = message.get_body(("html",))
    assert body is not None
    assert "Guten Tag" in body.get_content()


def test_a_line_break_cannot_add_a_header(tmp_path: Path):
    with pytest.raises(ValueError, match=r"linefeed|newline"):
        FileMailbox(tmp_path).send(mail(subject="Hello\r\nBcc: all@customer.example"))


def test_a_silent_copy_sends_nothing(tmp_path: Path):
    assert isinstance(mailer_for("null:", tmp_path), NullMailer)
    mailer_for("null:", tmp_path).send(mail())
    assert list(tmp_path.iterdir()) == []


class Inbox:
    """Takes every mail but those to ``full@``, which wait, and ``gone@``, which never will."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list
    ) -> str:
        if address.startswith("full@"):
            return "452 mailbox full"
        if address.startswith("gone@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.taken.append(envelope.content)
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, str]]:
    handler = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, f"smtp://127.0.0.1:{port}"
    controller.stop()


def test_smtp_hands_the_whole_mail_over(inbox: tuple[Inbox, str]):
    handler, url = inbox
    SmtpMailer(url).send(mail(headers={"List-Unsubscribe": "<https://shop.example/u/1>"}))
    message = message_from_bytes(handler.taken[0], policy=default)
    assert message["To"] == "ada@customer.example"
    assert message["List-Unsubscribe"] == "<https://shop.example/u/1>"


@pytest.mark.parametrize(("to", "permanent"), [("full@x.example", False), ("gone@x.example", True)])
def test_a_refusal_says_whether_waiting_helps(inbox: tuple[Inbox, str], to: str, permanent: bool):
    with pytest.raises(MailError) as caught:
        SmtpMailer(inbox[1]).send(mail(to=to))
    assert caught.value.permanent is permanent


def test_a_password_is_never_sent_in_the_clear(inbox: tuple[Inbox, str]):
    url = inbox[1].replace("smtp://", "smtp://user:secret@")
    with pytest.raises(MailError, match="encryption"):
        SmtpMailer(url).send(mail())


def test_a_server_that_is_down_is_worth_another_try():
    with pytest.raises(MailError) as caught:
        SmtpMailer("smtp://127.0.0.1:1").send(mail())
    assert not caught.value.permanent


# -------------------------------------------------------------------------------- failpoints


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


@pytest.mark.usefixtures("disarmed")
def test_a_point_strikes_at_the_visit_it_was_armed_for():
    failpoints.arm("renewal.after_sent:raise@2")
    failpoint("renewal.after_sent")
    failpoint("renewal.after_claim")
    with pytest.raises(FailpointReached):
        failpoint("renewal.after_sent")
    failpoint("renewal.after_sent")


@pytest.mark.parametrize("spec", ["renewal.nowhere:kill", "renewal.after_sent:explode"])
@pytest.mark.usefixtures("disarmed")
def test_a_misspelt_point_or_action_is_refused(spec: str):
    with pytest.raises(ValueError, match="failpoint"):
        failpoints.arm(spec)


def test_kill_ends_the_process_at_once():
    code = (
        "from storefront.adapters import failpoints as f; f.arm('renewal.after_sent:kill');"
        "f.failpoint('renewal.after_sent'); print('survived')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-9, b"")


# --------------------------------------------------------------------------------- passwords


def test_only_the_right_password_is_taken():
    passwords = Passwords(low_cost=True)
    stored = passwords.hash("correct horse")
    assert passwords.verify(stored, "correct horse")
    assert not passwords.verify(stored, "battery staple")
    assert not passwords.verify(None, "correct horse")
    assert not passwords.verify("not a hash", "correct horse")


def test_a_demo_login_opens_nothing_in_production():
    demo = Passwords(low_cost=True).hash("demo")
    assert not Passwords().verify(demo, "demo")


def test_a_hash_from_before_is_renewed_at_sign_in():
    demo = Passwords(low_cost=True).hash("demo")
    assert Passwords().is_outdated(demo)
    assert not Passwords(low_cost=True).is_outdated(demo)


# -------------------------------------------------------------------------------------- http


@pytest.fixture
def service() -> Iterator[str]:
    @Request.application
    def answer(request: Request) -> Response:
        if request.path == "/away":
            return Response(status=302, headers={"Location": "/elsewhere"})
        if request.path == "/slow":
            threading.Event().wait(1)
        if request.path == "/endless":
            return Response((b"x" * 65_536 for _ in range(MOST_BYTES // 65_536 + 2)), 200)
        if request.path == "/cut":
            return Response([b"half"], headers={"Content-Length": "8"})
        return Response(request.get_data(), 201)

    server = make_server("127.0.0.1", 0, answer, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(service: str) -> Iterator[ServiceHttp]:
    made = ServiceHttp(f"{service}/", read_seconds=0.2)
    yield made
    made.close()


def test_an_answer_is_returned_whatever_its_status(client: ServiceHttp):
    answer = client.request("POST", "/", json={"a": 1})
    assert (answer.status, answer.json()) == (201, {"a": 1})
    assert client.request("POST", "/", form={"a": "1 2"}).body == b"a=1+2"
    assert client.request("GET", "/away").status == 302


def test_no_answer_in_time_may_have_been_sent(client: ServiceHttp):
    with pytest.raises(HttpError) as caught:
        client.request("GET", "/slow")
    assert caught.value.is_sent


def test_what_nobody_listens_to_was_surely_not_sent():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = ServiceHttp(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(HttpError) as caught:
            nobody.request("GET", "/")
        nobody.close()
    assert not caught.value.is_sent


def test_an_answer_without_end_is_an_error(client: ServiceHttp):
    with pytest.raises(HttpError, match="more than"):
        client.request("GET", "/endless")


def test_an_answer_that_was_cut_off_is_an_error(client: ServiceHttp):
    with pytest.raises(HttpError):
        client.request("GET", "/cut")


def test_an_answer_that_is_no_json_says_its_status(client: ServiceHttp):
    with pytest.raises(HttpError, match="status 201"):
        client.request("POST", "/", form={"no": "json"}).json()
