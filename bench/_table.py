"""Print what was measured."""

from __future__ import annotations

from collections.abc import Mapping

from bench._engine import Timing

_HEAD = (
    f"{'':>22} {'renewals/s':>10} {'of floor':>8} {'per CPU s':>10} {'of floor':>8}"
    f" {'peak MiB':>9} {'grew MiB':>9} {'first':>7}"
)


def print_size(kind: str, due: int, engine: Mapping[int, Timing], floor: Timing) -> None:
    """Print the engine with each number of workers beside the floor."""
    print(f"{kind}, {due:,} due\n{_HEAD}")
    one = engine.get(1)
    for workers, timing in engine.items():
        name = f"{workers} worker" + "s" * (workers > 1)
        if one is not None and workers > 1:
            name += f" ({_rate(timing) / _rate(one):.2f} x 1)"
        print(
            f"{name:>22} {_rate(timing):>10,.0f} {_rate(timing) / _rate(floor):>8.0%}"
            f" {_per_cpu(timing):>10,.0f} {_per_cpu(timing) / _per_cpu(floor):>8.0%}"
            f" {timing.peak_mib:>9.1f} {timing.grew_mib:>9.1f} {timing.first_ms:>4,.0f} ms"
        )
    print(f"{'floor':>22} {_rate(floor):>10,.0f} {'':>8} {_per_cpu(floor):>10,.0f}", flush=True)


def print_slow(slow: Timing, in_flight: int, answer_ms: int) -> None:
    """Print how much of what a slow gateway allows was used."""
    best = in_flight / (answer_ms / 1000)
    print(
        f"{slow.renewals:,} with answers after {answer_ms} ms, {in_flight} in flight:"
        f" {_rate(slow):,.0f}/s, {_rate(slow) / best:.0%} of what the gateway allows,"
        f" {slow.cpu_seconds / slow.seconds:.0%} of one core"
    )


def _rate(timing: Timing) -> float:
    return timing.renewals / timing.seconds


def _per_cpu(timing: Timing) -> float:
    return timing.renewals / timing.cpu_seconds
