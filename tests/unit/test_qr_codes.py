"""QR codes: known parts of the standard, and every symbol read back."""

import pytest

from storefront.domain.qr_codes import (
    _BLOCKS,
    _CORRECTION,
    _MASKS,
    TextTooLong,
    _check,
    _codewords,
    _data_words,
    _remainder,
    _Symbol,
    _version_for,
    qr_code,
)
from storefront.qr_pictures import qr_svg


def format_of(symbol):
    """Read the fifteen bits beside the upper left finder, the highest first."""
    beside = [symbol[8][column] for column in (0, 1, 2, 3, 4, 5, 7, 8)]
    above = [symbol[row][8] for row in (7, 5, 4, 3, 2, 1, 0)]
    return "".join("1" if dark else "0" for dark in (*beside, *above))


def read(symbol):
    """Return the text of a symbol, and the words of its blocks with their corrections."""
    version = (len(symbol) - 17) // 4
    mask = (int(format_of(symbol), 2) ^ 0x5412) >> 10 & 7
    dark = _MASKS[mask]
    places = _Symbol(version).path()
    bits = "".join("1" if symbol[row][at] != dark(row, at) else "0" for row, at in places)
    words = [int(bits[at : at + 8], 2) for at in range(0, len(bits) // 8 * 8, 8)]
    count, extra, total = _BLOCKS[version - 1], _CORRECTION[version - 1], _data_words(version)
    lengths = [total // count + (at >= count - total % count) for at in range(count)]
    blocks = [[] for _each in lengths]
    rest = iter(words)
    for at in range(max(lengths)):
        for block, length in zip(blocks, lengths, strict=True):
            if at < length:
                block.append(next(rest))
    checks = [[] for _each in lengths]
    for _at in range(extra):
        for each in checks:
            each.append(next(rest))
    data = "".join(f"{word:08b}" for block in blocks for word in block)
    width = 8 if version < 10 else 16
    length = int(data[4 : 4 + width], 2)
    start = 4 + width
    text = bytes(int(data[start + 8 * at : start + 8 * at + 8], 2) for at in range(length))
    return text.decode(), list(zip(blocks, checks, strict=True))


@pytest.mark.parametrize("length", [1, 14, 15, 62, 106, 122, 180, 213, 251, 331, 362, 412])
def test_what_is_drawn_reads_back(length):
    text = ("otpauth://totp/Über?" + "abcdefghij" * 50).encode()[:length].decode()
    found, blocks = read(qr_code(text))
    assert found == text
    for block, check in blocks:
        assert bytes(check) == _remainder(bytes(block), len(check))


def test_no_symbol_is_larger_than_needed():
    room = [14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412]
    assert [_version_for(length) for length in room] == list(range(1, 16))
    assert [_version_for(length + 1) for length in room[:-1]] == list(range(2, 16))


def test_the_error_correction_is_that_of_the_well_known_example():
    words = bytes([32, 91, 11, 120, 209, 114, 220, 77, 67, 64, 236, 17, 236, 17, 236, 17])
    assert list(_remainder(words, 10)) == [196, 35, 39, 119, 235, 215, 231, 226, 93, 23]


def test_format_and_version_are_those_of_the_standard():
    formats = {format_of(_Symbol(1).drawn(b"", mask)): mask for mask in range(8)}
    assert formats["101010000010010"] == 0
    assert formats["100000011001110"] == 5
    assert 7 << 12 | _check(7, 0x1F25, 12) == 0b000111110010010100


def test_data_ends_with_four_zeros_and_is_filled_up():
    assert list(_codewords(b"a", 1))[:6] == [0x40, 0x16, 0x10, 0xEC, 0x11, 0xEC]


def test_too_much_is_refused():
    with pytest.raises(TextTooLong):
        qr_code("x" * 413)


def test_the_picture_has_its_margin_and_an_escaped_name():
    drawn = qr_svg("abc", 'A "code"')
    assert 'viewBox="0 0 29 29"' in drawn
    assert "A &#34;code&#34;" in drawn
    assert "M4 4h1v1h-1z" in drawn
    assert "style" not in drawn
