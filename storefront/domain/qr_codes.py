"""QR codes (ISO/IEC 18004): text of up to 412 bytes as a square of dark and light modules.

Byte mode, error correction M, versions 1 to 15: enough for an address that an authenticator
scans. ``tests/unit/test_qr_codes.py`` holds known symbols.
Source: docs/decisions/0217-two-step-sign-in.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from storefront.domain.errors import DomainError

Matrix = tuple[tuple[bool, ...], ...]

#: Error correction M: codewords per block and number of blocks of versions 1 to 15.
_CORRECTION = (10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24)
_BLOCKS = (1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10)
_LARGEST = len(_BLOCKS)
#: Two bits that name error correction M in the format information.
_LEVEL = 0b00
_BYTE_MODE, _PADDING = 0b0100, (0xEC, 0x11)
#: Generators of the two check codes, and what the format is masked with.
_FORMAT_GENERATOR, _FORMAT_MASK, _VERSION_GENERATOR = 0x537, 0x5412, 0x1F25
#: The field of the error correction: x^8 + x^4 + x^3 + x^2 + 1.
_FIELD = 0x11D
#: Modules of a finder as runs, with light ones on one side.
_FINDER_LIKE = (
    (True, False, True, True, True, False, True, False, False, False, False),
    (False, False, False, False, True, False, True, True, True, False, True),
)
_MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda row, column: (row + column) % 2 == 0,
    lambda row, _column: row % 2 == 0,
    lambda _row, column: column % 3 == 0,
    lambda row, column: (row + column) % 3 == 0,
    lambda row, column: (row // 2 + column // 3) % 2 == 0,
    lambda row, column: row * column % 2 + row * column % 3 == 0,
    lambda row, column: (row * column % 2 + row * column % 3) % 2 == 0,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2 == 0,
)


class TextTooLong(DomainError):
    """The text does not go into the largest symbol."""

    code = "text_too_long"


def qr_code(text: str) -> Matrix:
    """Return the rows of the smallest symbol for ``text``, True for dark; without the margin.

    Raises ``TextTooLong`` above 412 bytes.
    """
    data = text.encode()
    version = _version_for(len(data))
    words = _with_correction(_codewords(data, version), version)
    symbols = [_Symbol(version).drawn(words, mask) for mask in range(len(_MASKS))]
    return min(symbols, key=_penalty)


def _version_for(length: int) -> int:
    for version in range(1, _LARGEST + 1):
        if 4 + _count_bits(version) + 8 * length <= 8 * _data_words(version):
            return version
    raise TextTooLong(bytes=length)


def _count_bits(version: int) -> int:
    return 8 if version < 10 else 16


def _size(version: int) -> int:
    return 17 + 4 * version


def _data_words(version: int) -> int:
    return _all_words(version) - _CORRECTION[version - 1] * _BLOCKS[version - 1]


def _all_words(version: int) -> int:
    return sum(1 for _place in _Symbol(version).path()) // 8


def _codewords(data: bytes, version: int) -> bytes:
    """Return mode, length and data, ended and filled up to what the version holds."""
    room = 8 * _data_words(version)
    bits = f"{_BYTE_MODE:04b}{len(data):0{_count_bits(version)}b}"
    bits += "".join(f"{byte:08b}" for byte in data)
    bits += "0" * min(4, room - len(bits))
    bits += "0" * (-len(bits) % 8)
    words = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    missing = room // 8 - len(words)
    return bytes(words + [_PADDING[at % 2] for at in range(missing)])


def _with_correction(words: bytes, version: int) -> bytes:
    """Split into blocks, add the error correction to each, and interleave them."""
    count, extra = _BLOCKS[version - 1], _CORRECTION[version - 1]
    short, longer = divmod(len(words), count)
    blocks, at = [], 0
    for number in range(count):
        length = short + (number >= count - longer)
        blocks.append(words[at : at + length])
        at += length
    checks = [_remainder(block, extra) for block in blocks]
    return bytes([*_interleaved(blocks), *_interleaved(checks)])


def _interleaved(blocks: list[bytes]) -> Iterator[int]:
    for at in range(max(len(block) for block in blocks)):
        yield from (block[at] for block in blocks if at < len(block))


def _remainder(block: bytes, length: int) -> bytes:
    """Return the Reed-Solomon check words of a block."""
    generator = _generator(length)
    rest = [*block, *([0] * length)]
    for at in range(len(block)):
        factor = rest[at]
        if factor:
            for step, part in enumerate(generator):
                rest[at + step] ^= _times(part, factor)
    return bytes(rest[len(block) :])


@cache
def _generator(length: int) -> tuple[int, ...]:
    """Return the product of (x - 2^i) for i below ``length``, highest power first."""
    found, root = [1], 1
    for _power in range(length):
        shifted = [*found, 0]
        for at, part in enumerate(found):
            shifted[at + 1] ^= _times(part, root)
        found, root = shifted, _times(root, 2)
    return tuple(found)


@cache
def _times(one: int, other: int) -> int:
    """Multiply in the field."""
    product = 0
    while other:
        if other & 1:
            product ^= one
        one = one << 1 ^ (_FIELD if one & 0x80 else 0)
        other >>= 1
    return product


class _Symbol:
    """The square while it is drawn: what is fixed, and where data goes."""

    def __init__(self, version: int) -> None:
        self.version, self.size = version, _size(version)
        #: Fixed modules by (row, column); all others hold data.
        self.fixed: dict[tuple[int, int], bool] = {}
        self._draw_timing()
        for corner in ((0, 0), (0, self.size - 7), (self.size - 7, 0)):
            self._draw_finder(*corner)
        self._draw_alignment()
        self._reserve()

    def path(self) -> Iterator[tuple[int, int]]:
        """Yield the places of data: pairs of columns from the right, up and down in turn."""
        upwards = True
        for right in (*range(self.size - 1, 6, -2), 5, 3, 1):
            rows = range(self.size - 1, -1, -1) if upwards else range(self.size)
            for row in rows:
                for column in (right, right - 1):
                    if (row, column) not in self.fixed:
                        yield row, column
            upwards = not upwards

    def drawn(self, words: bytes, mask: int) -> Matrix:
        """Return the whole symbol with ``words`` under ``mask``."""
        bits = "".join(f"{word:08b}" for word in words)
        modules = dict(self.fixed)
        for at, place in enumerate(self.path()):
            dark = at < len(bits) and bits[at] == "1"
            modules[place] = dark != _MASKS[mask](*place)
        modules |= self._format(mask)
        lines = range(self.size)
        return tuple(tuple(modules[row, column] for column in lines) for row in lines)

    def _draw_timing(self) -> None:
        for at in range(self.size):
            self.fixed[6, at] = self.fixed[at, 6] = at % 2 == 0

    def _draw_finder(self, top: int, left: int) -> None:
        for row in range(-1, 8):
            for column in range(-1, 8):
                ring = max(abs(row - 3), abs(column - 3))
                place = (top + row, left + column)
                if all(0 <= each < self.size for each in place):
                    self.fixed[place] = ring not in (2, 4)

    def _draw_alignment(self) -> None:
        centres = _alignment(self.version)
        last = len(centres) - 1
        for at, middle in enumerate(centres):
            for other, across in enumerate(centres):
                if (at, other) in {(0, 0), (0, last), (last, 0)}:
                    continue
                for row in range(-2, 3):
                    for column in range(-2, 3):
                        dark = max(abs(row), abs(column)) != 1
                        self.fixed[middle + row, across + column] = dark

    def _reserve(self) -> None:
        """Keep the places of the format free, and write the version where there is one."""
        for place in self._format(0):
            self.fixed[place] = False
        if self.version < 7:
            return
        bits = self.version << 12 | _check(self.version, _VERSION_GENERATOR, 12)
        for at in range(18):
            far, near = self.size - 11 + at % 3, at // 3
            self.fixed[far, near] = self.fixed[near, far] = bool(bits >> at & 1)

    def _format(self, mask: int) -> dict[tuple[int, int], bool]:
        """Return the modules that name error correction and mask, both copies."""
        value = _LEVEL << 3 | mask
        bits = (value << 10 | _check(value, _FORMAT_GENERATOR, 10)) ^ _FORMAT_MASK
        found = {(self.size - 8, 8): True}
        for at in range(15):
            dark = bool(bits >> at & 1)
            found[_beside_corner(at)] = dark
            found[(8, self.size - 1 - at) if at < 8 else (self.size - 15 + at, 8)] = dark
        return found


def _beside_corner(at: int) -> tuple[int, int]:
    """Return where bit ``at`` of the format stands at the upper left finder."""
    if at < 8:
        return (at if at < 6 else at + 1), 8
    return 8, (7 if at == 8 else 14 - at)


def _alignment(version: int) -> tuple[int, ...]:
    """Return rows, which are columns too, of the centres of alignment patterns."""
    if version == 1:
        return ()
    gaps = version // 7 + 1
    step = -(-(4 * version + 4) // (2 * gaps)) * 2
    last = 4 * version + 10
    return (6, *(last - step * at for at in range(gaps - 1, -1, -1)))


def _check(value: int, generator: int, length: int) -> int:
    """Return the remainder of a BCH code."""
    rest = value << length
    for at in range(rest.bit_length() - 1, length - 1, -1):
        if rest >> at & 1:
            rest ^= generator << (at - length)
    return rest


def _penalty(symbol: Matrix) -> int:
    """Say how hard a symbol is to read: runs, blocks, what looks like a finder, imbalance."""
    lines = [*symbol, *zip(*symbol, strict=True)]
    size = len(symbol)
    total = sum(_runs(line) + 40 * _finders(line) for line in lines)
    for row in range(size - 1):
        for column in range(size - 1):
            four = (*symbol[row][column : column + 2], *symbol[row + 1][column : column + 2])
            total += 3 * (len(set(four)) == 1)
    dark = sum(map(sum, symbol))
    return total + 10 * (abs(20 * dark - 10 * size * size) // (size * size))


def _runs(line: tuple[bool, ...]) -> int:
    points, length = 0, 1
    for before, now in zip(line, (*line[1:], None), strict=True):
        if before == now:
            length += 1
            continue
        points += length - 2 if length >= 5 else 0
        length = 1
    return points


def _finders(line: tuple[bool, ...]) -> int:
    width = len(_FINDER_LIKE[0])
    return sum(line[at : at + width] in _FINDER_LIKE for at in range(len(line) - width + 1))
