"""A logo that staff put up: drawn anew from what was sent, shown in every head, taken down."""

import io
import re
import struct
import zlib
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image, PngImagePlugin

from storefront.adapters.logos import on_white, read_logo
from storefront.adapters.mail import FileMailbox, Mail
from storefront.blueprints.admin import logo as logo_pages
from storefront.mails import compose
from storefront.models import OutboxMessage
from storefront.runtime import Runtime
from storefront.services.outbox import Delivery
from storefront.testing import factories as make
from tests.support.desk import Desk

LOOK, LOGO = "/admin/look", "/admin/look/logo"


@pytest.fixture(autouse=True)
def shop(rt: Runtime) -> None:
    make.make_shop(rt, name="Nine <Kettles>")
    make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def desk(app: Flask, rt: Runtime) -> Desk:
    return Desk(app, rt, "owner")


def drawn(
    size: tuple[int, int] = (600, 100), kind: str = "PNG", mode: str = "RGBA", **saved: object
) -> bytes:
    out = io.BytesIO()
    picture = Image.new("RGBA", size, "#274c93")
    # A corner of another colour tells which side is up.
    picture.paste("#e87e34", (0, 0, size[0] // 4, size[1] // 2))
    picture.convert(mode).save(out, kind, **saved)  # type: ignore[arg-type]
    return out.getvalue()


def send(desk: Desk, data: bytes, name: str = "logo.png"):  # type: ignore[no-untyped-def]
    form = {"logo": (io.BytesIO(data), name)}
    return desk.post(LOGO, form, on=LOOK, content_type="multipart/form-data")


def shown(page: str) -> dict[str, str]:
    """Return the attributes of the logo in the head of a page, none without one."""
    link = re.search(r'<a class="brand"[^>]*>(.*?)</a>', page, re.DOTALL)
    assert link
    found = re.search(r"<img ([^>]*)>", link[1])
    return dict(re.findall(r'(\w+)="([^"]*)"', found[1])) if found else {}


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def test_a_logo_stands_in_every_head_with_its_size_and_the_shops_name(
    desk: Desk, client: FlaskClient
) -> None:
    for page in ("/", "/plans/pot", "/sign-in"):
        assert shown(client.get(page).text) == {}
    kept = client.get("/").headers["ETag"]

    assert send(desk, drawn((600, 100))).location == LOOK

    for page in ("/", "/plans/pot", "/sign-in", "/nowhere"):
        logo = shown(client.get(page).text)
        assert (logo["width"], logo["height"]) == ("200", "33")
        assert logo["alt"] == "Nine &lt;Kettles&gt;"
    assert shown(desk.get("/admin/").text) == logo
    assert client.get("/", headers={"If-None-Match": kept}).status_code == 200
    assert "Logo put up" in desk.get("/admin/log").text

    answer = client.get(logo["src"])
    assert answer.mimetype == "image/png"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert Image.open(io.BytesIO(answer.data)).size == (400, 67)
    etag = {"If-None-Match": answer.headers["ETag"]}
    assert client.get(logo["src"], headers=etag).status_code == 304
    # In another language the picture is the same.
    assert shown(client.get("/?lang=de").text)["src"] == logo["src"]

    removed = desk.post(f"{LOGO}/remove", {}, on=LOOK)
    assert removed.location == LOOK
    assert shown(client.get("/").text) == {}
    assert client.get(logo["src"]).status_code == 404
    assert desk.post(f"{LOGO}/remove", {}, on=LOOK).status_code == 303


def test_an_old_address_shows_the_logo_of_today_and_is_not_kept(
    desk: Desk, client: FlaskClient
) -> None:
    send(desk, drawn((100, 40)))
    first = shown(client.get("/").text)["src"]
    send(desk, drawn((40, 40)))
    second = shown(client.get("/").text)["src"]
    assert first != second
    answer = client.get(first)
    assert answer.data == client.get(second).data
    assert "immutable" not in answer.headers["Cache-Control"]
    # The same once more changes nothing.
    kept = client.get("/").headers["ETag"]
    assert send(desk, drawn((40, 40))).status_code == 303
    assert client.get("/", headers={"If-None-Match": kept}).status_code == 304


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "", "Choose a picture"),
        (b"", "logo.png", "PNG or JPEG"),
        (b"<html><script>alert(1)</script>", "logo.png", "PNG or JPEG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "a.svg", "PNG or JPEG"),
        (drawn()[:200], "logo.png", "PNG or JPEG"),
        (drawn(kind="GIF", mode="P"), "logo.gif", "PNG or JPEG"),
        (drawn(kind="WEBP"), "logo.webp", "PNG or JPEG"),
        (drawn((8, 200)), "logo.png", "16 to 4000 pixels"),
        (drawn((4001, 20), mode="1"), "logo.png", "16 to 4000 pixels"),
    ],
)
def test_what_is_no_logo_is_refused_beside_the_field(
    desk: Desk, client: FlaskClient, data: bytes, name: str, words: str
) -> None:
    answer = send(desk, data, name)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "<title>Error:" in answer.text
    assert shown(client.get("/").text) == {}


def test_a_file_that_is_too_large_is_not_read_to_its_end(
    desk: Desk, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logo_pages, "MOST_BYTES", len(drawn()) - 1)
    answer = send(desk, drawn())
    assert answer.status_code == 422
    assert "MB at most" in answer.text
    assert shown(client.get("/").text) == {}


def test_a_picture_as_large_as_a_field_is_refused_before_it_is_unpacked(desk: Desk) -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    bomb += chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    answer = send(desk, bomb)
    assert answer.status_code == 422


def test_nothing_of_the_file_but_the_picture_is_kept(desk: Desk, client: FlaskClient) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    exif[0x0112] = 6  # The camera was held upright.
    photo = drawn((300, 100), "JPEG", "RGB", exif=exif)
    assert b"taken at home" in photo
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "<script>alert(1)</script>")
    noted = drawn((300, 100), pnginfo=words) + b"<script>alert(2)</script>"

    for data, name in ((photo, "../../x.jpg"), (noted, "x.png")):
        assert send(desk, data, name).status_code == 303
        logo = shown(client.get("/").text)
        kept = client.get(logo["src"]).data
        assert b"taken at home" not in kept
        assert b"alert" not in kept
        picture = Image.open(io.BytesIO(kept))
        assert picture.format == "PNG"
        assert not picture.info.get("exif")
    # Turned as the camera was, the photo stands upright: 100 by 300.
    assert read_logo(photo).width < read_logo(photo).height


def test_a_heavy_picture_is_kept_in_fewer_colours() -> None:
    noise = Image.effect_noise((400, 80), 90).convert("RGBA")
    out = io.BytesIO()
    noise.save(out, "PNG")
    assert len(read_logo(out.getvalue()).png) < 60_000


def test_only_who_may_change_the_shop_puts_up_a_logo(app: Flask, rt: Runtime) -> None:
    support = Desk(app, rt, "support")
    assert support.client.post(LOGO).status_code in {400, 403}
    assert support.get(LOOK).status_code == 403


def a_mail(rt: Runtime, to: str = "ada@example.org") -> Mail:
    rt.forget_shop()
    payload = {"to": to}
    told = Delivery(1, "out_1", "mail", "account_erased", "x", payload, None, rt.now())
    found = compose(rt, told)
    rt.session.rollback()
    assert found is not None
    return found


def test_a_mail_brings_the_logo_with_it_and_asks_no_server(
    desk: Desk, rt: Runtime, tmp_path: Path
) -> None:
    assert "<img" not in a_mail(rt).html
    send(desk, drawn())
    mail = a_mail(rt)
    [tag] = re.findall(r"<img [^>]*>", mail.html)
    assert 'alt="Nine &lt;Kettles&gt;"' in tag
    assert 'width="212" height="45"' in tag
    assert re.findall(r'src="(?!cid:)|url\(', mail.html) == []

    mailbox = FileMailbox(tmp_path)
    mailbox.send(mail)
    [message] = mailbox.read()
    html = message.get_body(("html",))
    assert html is not None
    assert list(message.iter_attachments()) == []
    [picture] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content_disposition() == "inline"
    assert f"cid:{picture['Content-ID'].strip('<>')}" in html.get_content()
    plain = message.get_body(("plain",))
    assert plain is not None
    assert "cid:" not in plain.get_content()
    seen = Image.open(io.BytesIO(picture.get_content()))
    assert seen.size == (424, 91)


def test_a_dark_logo_has_its_white_ground_in_every_mail() -> None:
    out = io.BytesIO()
    clear = Image.new("RGBA", (80, 40), (0, 0, 0, 0))
    clear.paste((10, 10, 10, 255), (0, 0, 40, 40))
    clear.save(out, "PNG")
    seen = Image.open(io.BytesIO(on_white(out.getvalue()))).convert("RGBA")
    assert seen.getpixel((2, 2)) == (255, 255, 255, 255)
    assert seen.getpixel((80, 30)) == (255, 255, 255, 255)
    assert seen.getpixel((30, 30)) == (10, 10, 10, 255)


def test_the_desk_sees_a_mail_with_its_logo(desk: Desk, rt: Runtime) -> None:
    send(desk, drawn())
    rt.session.add(
        OutboxMessage(
            public_id="out_2",
            kind="mail",
            topic="account_erased",
            key="x",
            payload={"to": "ada@example.org"},
            state="waiting",
            due_at=rt.now(),
            created_at=rt.now(),
        )
    )
    rt.session.commit()
    answer = desk.get("/admin/outbox/out_2/mail")
    assert "cid:" not in answer.text
    assert 'src="data:image/png;base64,' in answer.text
    assert "img-src data:" in answer.headers["Content-Security-Policy"]
