"""How long subscribers stay: the shifted beta-geometric model, fitted and run on.

Each customer leaves at every renewal with a chance of their own, and these chances are
spread over the cohort as a beta distribution. Those likely to leave go first, so
retention rises with age, as it does in every real cohort.
Source: P. Fader, B. Hardie, "How to Project Customer Retention", 2007;
docs/decisions/0023-retention-forecast.md.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, log

_Point = tuple[float, float]

#: Bounds of the search: mean chance to leave as log odds, and log of alpha + beta.
_LOG_ODDS = 12.0
_LOG_SUM = (-7.0, 9.0)


def fit_sbg(survivors: Sequence[float]) -> tuple[float, float]:
    """Return ``(alpha, beta)`` that make the counts in ``survivors`` most likely.

    ``survivors[0]`` is the starting cohort, ``survivors[t]`` who is left after t renewals.
    Estimates are good to about four digits. A cohort in which nobody or everybody left
    has no finite best fit: the answer then lies on the bounds of the search and its
    survival curve is as good as flat or zero.
    Raises ``ValueError`` for fewer than two counts, an empty cohort, a negative count or
    a count above the one before.

    >>> alpha, beta = fit_sbg([1000, 869, 743, 653, 593, 551, 517, 491])
    >>> f"{alpha:.3f} {beta:.3f}"
    '0.668 3.806'
    """
    _check(survivors)
    left = [before - after for before, after in pairwise(survivors)]
    scale = 1.0 / survivors[0]

    def badness(point: _Point) -> float:
        alpha, beta = _parameters(point)
        log_staying, total = 0.0, 0.0
        for t, gone in enumerate(left, start=1):
            both = alpha + beta + t - 1
            total += gone * (log_staying + log(alpha / both))
            log_staying += log((beta + t - 1) / both)
        return -(total + survivors[-1] * log_staying) * scale

    return _parameters(_lowest(badness, (-1.0, 1.0)))


def sbg_survival(alpha: float, beta: float, periods: int) -> list[float]:
    """Return S(0)..S(``periods``): the share of a cohort left after each renewal.

    Raises ``ValueError`` unless both parameters are above zero and ``periods`` is not
    negative.

    >>> [f"{share:.3f}" for share in sbg_survival(0.668, 3.806, 3)]
    ['1.000', '0.851', '0.747', '0.670']
    """
    if alpha <= 0 or beta <= 0 or periods < 0:
        raise ValueError(f"no such model: alpha {alpha}, beta {beta}, {periods} periods")
    shares = [1.0]
    for t in range(1, periods + 1):
        shares.append(shares[-1] * (beta + t - 1) / (alpha + beta + t - 1))
    return shares


def _check(survivors: Sequence[float]) -> None:
    if len(survivors) < 2:
        raise ValueError("a fit needs the starting cohort and at least one renewal")
    if survivors[0] <= 0 or survivors[-1] < 0:
        raise ValueError("counts of survivors are not negative, and the cohort is not empty")
    if any(after > before for before, after in pairwise(survivors)):
        raise ValueError("nobody joins a cohort later: a count is above the one before")


def _parameters(point: _Point) -> tuple[float, float]:
    """Turn (log odds of leaving, log of the sum) into (alpha, beta), within the bounds."""
    odds = max(-_LOG_ODDS, min(_LOG_ODDS, point[0]))
    whole = exp(max(_LOG_SUM[0], min(_LOG_SUM[1], point[1])))
    mean = 1.0 / (1.0 + exp(-odds))
    return whole * mean, whole * (1.0 - mean)


def _lowest(badness: Callable[[_Point], float], start: _Point) -> _Point:
    """Find the lowest point by a downhill simplex (Nelder and Mead, 1965) in the plane."""
    x, y = start
    corners = [(x, y), (x + 1.0, y), (x, y + 1.0)]
    ranked = sorted((badness(corner), corner) for corner in corners)
    for _ in range(400):
        if ranked[2][0] - ranked[0][0] < 1e-13 and _size(ranked) < 1e-6:
            break
        ranked = sorted(_step(badness, ranked))
    return ranked[0][1]


def _size(ranked: list[tuple[float, _Point]]) -> float:
    (_, (x, y)), *others = ranked
    return max(abs(a - x) + abs(b - y) for _, (a, b) in others)


def _step(
    badness: Callable[[_Point], float], ranked: list[tuple[float, _Point]]
) -> list[tuple[float, _Point]]:
    best, second, worst = ranked
    middle = ((best[1][0] + second[1][0]) / 2, (best[1][1] + second[1][1]) / 2)

    def along(distance: float) -> tuple[float, _Point]:
        point = (
            middle[0] + distance * (middle[0] - worst[1][0]),
            middle[1] + distance * (middle[1] - worst[1][1]),
        )
        return badness(point), point

    mirrored = along(1.0)
    if mirrored[0] < best[0]:
        return [best, second, min(mirrored, along(2.0))]
    if mirrored[0] < second[0]:
        return [best, second, mirrored]
    nearer = along(0.5 if mirrored[0] < worst[0] else -0.5)
    if nearer[0] < min(mirrored[0], worst[0]):
        return [best, second, nearer]
    shrunk = [((best[1][0] + p[0]) / 2, (best[1][1] + p[1]) / 2) for _, p in (second, worst)]
    return [best, *((badness(point), point) for point in shrunk)]
