"""Sending mail: a mailbox folder for the demo, SMTP for real, nothing for a silent copy."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from storefront.adapters.files import FileStore

_TIMEOUT_SECONDS = 20
#: SMTP codes from here on will not get better by waiting.
_PERMANENT_CODE = 500


class MailError(Exception):
    """A mail that was not handed over. ``permanent`` means that trying again is no use."""

    def __init__(self, text: str, *, permanent: bool) -> None:
        super().__init__(text)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a mail brings."""

    name: str
    #: Media type such as ``text/csv``.
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG inside a mail's HTML, which names it as ``cid:`` and ``key``."""

    key: str
    name: str
    data: bytes
    #: Pixels as it is shown.
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Mail:
    """One message to one person, as text and, if given, as HTML."""

    #: Stays the same when the same mail is sent again: Message-ID and file name are made of it.
    key: str
    sender: str
    to: str
    subject: str
    text: str
    sent_at: datetime
    html: str = ""
    #: Further headers such as ``List-Unsubscribe``.
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    #: Shown by the HTML; they come with the mail, so that no program asks a server for them.
    pictures: tuple[Picture, ...] = ()


class Mailer(Protocol):
    """Hands a mail over."""

    def send(self, mail: Mail) -> None:
        """Hand ``mail`` over, or raise :class:`MailError`."""
        ...


class FileMailbox:
    """Writes each mail as ``<key>.eml`` into a folder; the same mail twice is one file."""

    def __init__(self, folder: Path) -> None:
        self._files = FileStore(folder)

    def send(self, mail: Mail) -> None:
        try:
            self._files.publish(f"{mail.key}.eml", [_message(mail).as_bytes()])
        except OSError as error:
            raise MailError(str(error), permanent=False) from error

    def read(self) -> list[EmailMessage]:
        """Return all mails, the newest first."""
        paths = sorted(
            self._files.folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns, reverse=True
        )
        return [message_from_bytes(path.read_bytes(), policy=default) for path in paths]


class NullMailer:
    """Sends nothing, for a copy of a shop that must stay silent."""

    def send(self, mail: Mail) -> None:
        """Drop ``mail``."""


class SmtpMailer:
    """Hands mails to a server: ``smtps`` speaks TLS at once, ``smtp`` starts it when offered."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def send(self, mail: Mail) -> None:
        try:
            with _connect(self._url) as server:
                if self._url.username:
                    server.login(unquote(self._url.username), unquote(self._url.password or ""))
                server.send_message(_message(mail))
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _text in error.recipients.values()]
            raise MailError(
                "recipient refused", permanent=all(code >= _PERMANENT_CODE for code in codes)
            ) from error
        except smtplib.SMTPResponseException as error:
            permanent = error.smtp_code >= _PERMANENT_CODE
            raise MailError(f"refused with {error.smtp_code}", permanent=permanent) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(str(error), permanent=False) from error


def mailer_for(url: str, folder: Path) -> Mailer:
    """Return the mailer that ``url`` asks for; ``folder`` is the mailbox of ``file:``."""
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return FileMailbox(folder)
    return NullMailer() if scheme == "null" else SmtpMailer(url)


def _connect(url: SplitResult) -> smtplib.SMTP:
    host, context = url.hostname or "localhost", ssl.create_default_context()
    if url.scheme == "smtps":
        return smtplib.SMTP_SSL(host, url.port or 465, timeout=_TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(host, url.port or 587, timeout=_TIMEOUT_SECONDS)
    server.ehlo()
    if server.has_extn("starttls"):
        server.starttls(context=context)
        server.ehlo()
    elif url.username:
        server.close()
        raise MailError("the mail server offers no encryption for the password", permanent=False)
    return server


def _message(mail: Mail) -> EmailMessage:
    """Build the message. Raises ``ValueError`` for a header with a line break in it."""
    message = EmailMessage(policy=SMTP)
    message["From"] = mail.sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.sent_at)
    message["Message-ID"] = f"<{mail.key}@{mail.sender.rpartition('@')[2].rstrip('>')}>"
    for name, value in mail.headers.items():
        message[name] = value
    message.set_content(mail.text)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
        body = message.get_body(("html",))
        assert body is not None
        for picture in mail.pictures:
            body.add_related(
                picture.data,
                maintype="image",
                subtype="png",
                cid=f"<{picture.key}>",
                filename=picture.name,
                disposition="inline",
            )
    for one in mail.attachments:
        main, _slash, sub = one.kind.partition("/")
        message.add_attachment(one.data, maintype=main, subtype=sub, filename=one.name)
    return message
