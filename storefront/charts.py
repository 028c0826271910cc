"""Charts drawn on the server as SVG: bars, lines, sparklines.

Only the drawing: the page puts the finding, the table and the CSV around it
(``components/charts.html``). Colours and dashes are classes ``c1`` to ``c4``; every line
carries its name at its end, so no legend and no colour alone is needed. Bars start at zero.
Whoever cannot see the picture reads the table, so the picture itself is hidden from them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

WIDTH, HEIGHT = 480, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 78, 22, 28
MOST_SERIES = 4
MINUS = "\N{MINUS SIGN}"

Unit = Callable[[float], str]


@dataclass(frozen=True)
class Point:
    """One value; None is a gap. ``url`` leads to the list behind it."""

    label: str
    value: float | None
    url: str = ""


@dataclass(frozen=True)
class Series:
    """One row of values with its name; ``forecast`` draws it dashed."""

    name: str
    points: Sequence[Point]
    forecast: bool = False


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    step: float

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def ticks(self) -> list[float]:
        count = round((self.high - self.low) / self.step)
        return [self.low + i * self.step for i in range(count + 1)]


def bar_chart(series: Sequence[Series], unit: Unit = str) -> Markup:
    """Return stacked bars: values above zero upwards, below zero downwards.

    ``unit`` writes a value on the axis. Raises ``ValueError`` without series, with more
    than four, or with rows of different length.
    """
    _check(series)
    count = len(series[0].points)
    totals = [[s.points[i].value or 0 for s in series] for i in range(count)]
    highest = max((sum(v for v in row if v > 0) for row in totals), default=0)
    lowest = min((sum(v for v in row if v < 0) for row in totals), default=0)
    scale = nice_scale(min(lowest, 0), max(highest, 0))
    slot = (WIDTH - LEFT - RIGHT) / max(count, 1)
    parts = [_grid(scale, unit)]
    parts.extend(_stack(series, index, scale, LEFT + index * slot, slot) for index in range(count))
    parts.extend(_x_labels([p.label for p in series[0].points], LEFT + slot / 2, slot))
    parts.append(_bar_names(series, scale))
    return _svg(WIDTH, HEIGHT, parts)


def line_chart(
    series: Sequence[Series], unit: Unit = str, top: float | None = None, bottom: float = 0
) -> Markup:
    """Return one line per series from ``bottom`` up, each named at its end.

    Raises ``ValueError`` without series or with more than four.
    """
    _check(series, same_length=False)
    values = [p.value for s in series for p in s.points if p.value is not None]
    scale = nice_scale(bottom, top if top is not None else max(values, default=1))
    longest = max(series, key=lambda s: len(s.points)).points
    step = (WIDTH - LEFT - RIGHT) / max(len(longest) - 1, 1)
    parts = [_grid(scale, unit), *_x_labels([p.label for p in longest], LEFT, step)]
    taken: list[float] = []
    for number, one in enumerate(series, 1):
        parts.append(_line(one, number, scale, step))
        parts.append(_line_name(one, scale, step, taken))
    return _svg(WIDTH, HEIGHT, parts)


def sparkline(values: Sequence[float], width: int = 96, height: int = 24) -> Markup:
    """Return a line the size of a word: the direction, not the amounts."""
    if len(values) < 2:
        return Markup("")
    low, high = min(values), max(values)
    spread = (high - low) or 1
    step = (width - 6) / (len(values) - 1)
    spots = [
        (round(3 + i * step, 1), round(height - 3 - (value - low) / spread * (height - 6), 1))
        for i, value in enumerate(values)
    ]
    path = "M" + " ".join(f"{x:g} {y:g}" for x, y in spots)
    x, y = spots[-1]
    dot = f'<circle cx="{x:g}" cy="{y:g}" r="2.5"/>'
    text = f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    return Markup(f'{text}aria-hidden="true" focusable="false"><path d="{path}"/>{dot}</svg>')  # noqa: S704


def nice_scale(low: float, high: float, wanted: int = 4) -> _Scale:
    """Return a scale around ``low`` and ``high`` with three to five round steps.

    >>> nice_scale(0, 68).ticks()
    [0, 20, 40, 60, 80]
    """
    high = high if high > low else low + 1
    rough = (high - low) / wanted
    power = 10 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough - 1e-12)
    if step == int(step):
        step = int(step)
    bottom, top = floor(low / step) * step, ceil(high / step) * step
    return _Scale(bottom, top, step)


def _check(series: Sequence[Series], *, same_length: bool = True) -> None:
    if not 1 <= len(series) <= MOST_SERIES:
        raise ValueError(f"a chart shows one to {MOST_SERIES} series, not {len(series)}")
    if same_length and len({len(s.points) for s in series}) > 1:
        raise ValueError("stacked series need the same number of points")


def _grid(scale: _Scale, unit: Unit) -> str:
    parts = []
    for value in scale.ticks():
        y = scale.y(value)
        kind = "zero" if value == 0 else "grid"
        parts.append(f'<path class="{kind}" d="M{LEFT} {y:g}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 8, y + 4, unit(value).replace("-", MINUS), "end"))
    return "".join(parts)


def _x_labels(labels: Sequence[str], start: float, step: float) -> list[str]:
    every = ceil(len(labels) * 34 / (WIDTH - LEFT - RIGHT))
    return [
        _text(start + i * step, HEIGHT - 8, label, "middle")
        for i, label in enumerate(labels)
        if i % max(every, 1) == 0
    ]


def _stack(series: Sequence[Series], index: int, scale: _Scale, x: float, slot: float) -> str:
    wide = min(slot * 0.62, 44)
    left = x + (slot - wide) / 2
    up = down = 0.0
    parts = []
    for number, one in enumerate(series, 1):
        point = one.points[index]
        if not point.value:
            continue
        start = up if point.value > 0 else down
        y1, y2 = sorted((scale.y(start), scale.y(start + point.value)))
        kind = f"bar c{number}{' forecast' if one.forecast else ''}"
        bar = (
            f'<rect class="{kind}" x="{left:.1f}" y="{y1:g}" width="{wide:.1f}" '
            f'height="{y2 - y1:.1f}" rx="2"/>'
        )
        parts.append(_linked(bar, point.url, f"{one.name}, {point.label}: {point.value:g}"))
        up, down = (start + point.value, down) if point.value > 0 else (up, start + point.value)
    return "".join(parts)


def _bar_names(series: Sequence[Series], scale: _Scale) -> str:
    """Name each colour beside the last bar, the one drawn lowest at the bottom."""
    x = WIDTH - RIGHT + 8
    parts = []
    for number, one in enumerate(series, 1):
        if not one.name:  # a single row needs none: the caption says what it is
            continue
        values = [p.value or 0 for p in one.points]
        below = sum(values) < 0
        y = scale.y(0) + 18 if below else scale.y(0) - 10 - 18 * (number - 1)
        y = max(y, TOP)
        swatch = (
            f'<rect class="bar c{number}" x="{x}" y="{y - 9:g}" width="10" height="10" rx="2"/>'
        )
        parts.append(swatch + _text(x + 15, y, one.name, "start", "name"))
    return "".join(parts)


def _line(one: Series, number: int, scale: _Scale, step: float) -> str:
    runs: list[list[tuple[float, float]]] = [[]]
    dots = []
    for index, point in enumerate(one.points):
        if point.value is None:
            runs.append([])
            continue
        x, y = round(LEFT + index * step, 1), scale.y(point.value)
        runs[-1].append((x, y))
        if point.url or len(one.points) == 1:
            hit = f'<circle class="hit" cx="{x:g}" cy="{y:g}" r="12"/>'
            dot = f'{hit}<circle class="dot c{number}" cx="{x:g}" cy="{y:g}" r="3.5"/>'
            dots.append(_linked(dot, point.url, f"{one.name}, {point.label}: {point.value:g}"))
    kind = f"line c{number}{' forecast' if one.forecast else ''}"
    paths = [
        f'<path class="{kind}" d="M{" ".join(f"{x:g} {y:g}" for x, y in run)}"/>'
        for run in runs
        if len(run) > 1
    ]
    return "".join(paths + dots)


def _line_name(one: Series, scale: _Scale, step: float, taken: list[float]) -> str:
    last = [(i, p.value) for i, p in enumerate(one.points) if p.value is not None]
    if not last:
        return ""
    index, value = last[-1]
    y = scale.y(value)
    while any(abs(y - other) < 15 for other in taken):
        y += 15
    taken.append(y)
    return _text(LEFT + index * step + 8, y + 4, one.name, "start", "name")


def _linked(drawn: str, url: str, label: str) -> str:
    return f'<a href="{escape(url)}" aria-label="{escape(label)}">{drawn}</a>' if url else drawn


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    classes = f' class="{kind}"' if kind else ""
    return f'<text{classes} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: int, height: int, parts: Sequence[str]) -> Markup:
    drawn = "".join(parts)
    hidden = "" if "<a " in drawn else ' aria-hidden="true"'
    text = f'<svg class="plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return Markup(f'{text}{hidden} focusable="false">{drawn}</svg>')  # noqa: S704 - texts are escaped
