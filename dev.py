#!/usr/bin/env python3
"""Everything a developer needs, from a fresh checkout: ``python3 dev.py run`` or ``test``.

Needs nothing but Python 3.11 or newer: it makes its own environment in ``.venv``.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file must say so before it fails
    sys.exit("Storefront needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

import argparse
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tools import assets, checks, demo, machine, mutation
from tools.console import bad, fail, good, say
from tools.environment import PYTHON, ROOT, child_environ, compile_locks, ensure


def run(options: argparse.Namespace) -> int:
    """Start the demo shop, its worker and the example host shop on 127.0.0.1."""
    ensure()
    with ThreadPoolExecutor(max_workers=1) as beside:
        fetching = beside.submit(assets.ensure_unpacked, assets.UNPACKED)
        ensure("run")
        fetching.result()
    assets.compile_translations()
    return demo.run(port=options.port, fresh=options.fresh)


def test(options: argparse.Namespace) -> int:
    """Run every check, then every test; what follows goes to pytest."""
    _prepare_tests()
    # Who asks for some of the tests does not wait for all of them to be found.
    found = () if options.rest else checks.COLLECTED
    failed = checks.run(*checks.LINT, *checks.TYPES, *found)
    machine.browser(install=False)
    if failed:
        # Said here, because pytest's summary is to be the last thing printed.
        bad(f"failed so far: {', '.join(failed)}; the tests still run")
    arguments = options.rest
    if not any(argument.startswith(("-n", "--numprocesses")) for argument in arguments):
        # One more than there are cores: browsers and rigs wait for others most of their time.
        processes = str((os.cpu_count() or 1) + 1)
        arguments = ["-n", processes, "--dist", "worksteal", *arguments]
    quick = machine.quick_folder()
    environ = {"TMPDIR": str(quick)} if quick and "TMPDIR" not in os.environ else {}
    if options.long:
        environ["TEST_LONG"] = "1"
    tests = _python("-m", "pytest", *arguments, **environ)
    return tests or int(bool(failed))


def lint(options: argparse.Namespace) -> int:
    """Check style, import contracts and templates."""
    ensure("e2e")
    if options.fix:
        checks.fix()
    return int(bool(checks.run(*checks.LINT)))


def types(_options: argparse.Namespace) -> int:
    """Check types."""
    ensure("e2e")
    return int(bool(checks.run(*checks.TYPES)))


def build(_options: argparse.Namespace) -> int:
    """Write the wheel into dist/."""
    ensure("e2e")
    assets.ensure()
    return _python("-m", "hatchling", "build", "-t", "wheel", "-d", "dist")


def lock(options: argparse.Namespace) -> int:
    """Write requirements/*.lock from pyproject.toml."""
    compile_locks(upgrade=options.upgrade)
    return 0


def reset(options: argparse.Namespace) -> int:
    """Delete what the demo shop has written: its database, mails, files, clock."""
    if not demo.INSTANCE.exists():
        good("there is nothing to delete")
        return 0
    if not options.yes:
        if not sys.stdin.isatty():
            fail("Say --yes to delete the demo shop's data without being asked.")
        if input("Delete the demo shop's data in instance/? [y/N] ").strip().lower() != "y":
            say("nothing was deleted")
            return 1
    shutil.rmtree(demo.INSTANCE)
    good("deleted instance/")
    return 0


def browser(options: argparse.Namespace) -> int:
    """Look for the browser that the tests drive."""
    return machine.browser(install=options.install)


def bench(options: argparse.Namespace) -> int:
    """Run a benchmark of bench/."""
    return _run_module("bench", options.name, options.rest)


def rig(options: argparse.Namespace) -> int:
    """Run a test rig of tests/rigs/."""
    return _run_module("tests.rigs", options.name, options.rest)


def simulate(options: argparse.Namespace) -> int:
    """Live through years of a shop with random customers and faults, from one seed."""
    return _run_module("tests.rigs", "simulate", options.rest)


def mutate(options: argparse.Namespace) -> int:
    """Change the rules about money one by one and count what the tests notice."""
    ensure("e2e", "mutate")
    return mutation.run(options.modules, jobs=options.jobs, show=options.show)


def shots(options: argparse.Namespace) -> int:
    """Make the screenshots of the README."""
    return _run_module("tests.browser", "shots", options.rest)


def check_html(options: argparse.Namespace) -> int:
    """Let the Nu HTML checker read every kind of page (says what it needs)."""
    return _run_module("tests.browser", "check_html", options.rest)


def lighthouse(options: argparse.Namespace) -> int:
    """Let Lighthouse measure pricing, plan, checkout and account (says what it needs)."""
    return _run_module("tests.browser", "lighthouse", options.rest)


def _prepare_tests() -> None:
    ensure("e2e")
    if os.environ.get("TEST_POSTGRES") == "embedded":
        ensure("embedded")
    assets.ensure()


def _run_module(package: str, name: str, arguments: list[str]) -> int:
    folder, name = ROOT.joinpath(*package.split(".")), name.replace("-", "_")
    if not (folder / f"{name}.py").is_file():
        there = sorted(path.stem for path in folder.glob("[!_]*.py"))
        fail(f"{package} has no {name!r}; it has: {', '.join(there) or 'nothing yet'}")
    _prepare_tests()
    return _python("-m", f"{package}.{name}", *arguments)


def _python(*arguments: str, **environ: str) -> int:
    command = [PYTHON, *arguments]
    return subprocess.run(command, cwd=ROOT, env=child_environ(**environ), check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for function in (
        run,
        test,
        lint,
        types,
        build,
        lock,
        reset,
        browser,
        bench,
        shots,
        check_html,
        lighthouse,
        rig,
        simulate,
        mutate,
    ):
        text = function.__doc__ or ""
        name = function.__name__.replace("_", "-")
        # What a script of ours can do, it says itself: `dev.py rig kill --help`.
        own_help = name not in _SPEAKS_ITSELF
        command = commands.add_parser(name, help=text, description=text, add_help=own_help)
        command.set_defaults(function=function)
        if name in _ADD_OPTIONS:
            _ADD_OPTIONS[name](command)
    return parser


def _run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=int, default=8000, help="of the shop (default: 8000)")
    command.add_argument("--fresh", action="store_true", help="forget the demo shop's data first")


def _test_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--long", action="store_true", help="rigs at their whole size, not a sample of each"
    )


def _named_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", help="file name without .py")


def _mutate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("modules", nargs="*", metavar="MODULE", help="of the domain; none: all")
    command.add_argument("--show", action="store_true", help="print every unnoticed change")
    command.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at once")


_ADD_OPTIONS = {
    "run": _run_options,
    "test": _test_options,
    "lint": lambda command: command.add_argument("--fix", action="store_true", help="repair first"),
    "lock": lambda command: command.add_argument(
        "--upgrade", action="store_true", help="take newer versions"
    ),
    "reset": lambda command: command.add_argument("--yes", action="store_true", help="do not ask"),
    "browser": lambda command: command.add_argument(
        "--install", action="store_true", help="get one through apt (as root)"
    ),
    "bench": _named_options,
    "rig": _named_options,
    "mutate": _mutate_options,
}
#: Commands that hand everything they do not know to what they run.
_SPEAKS_ITSELF = {"bench", "rig", "shots", "check-html", "lighthouse", "simulate"}
_PASSES_ON = {"test", *_SPEAKS_ITSELF}


def main(arguments: list[str]) -> int:
    """Run the command that ``arguments`` name and return its exit code."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command not in _PASSES_ON:
        parser.error(f"unknown: {' '.join(rest)}")
    options.rest = rest
    try:
        return int(options.function(options))
    except KeyboardInterrupt:
        return 130
    except subprocess.CalledProcessError as error:
        fail(f"{' '.join(map(str, error.cmd))} ended with {error.returncode}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
