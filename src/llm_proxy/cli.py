"""The commands: serve (default), demo, check, config, health, completion, version.

Each imports what it needs when it runs, so that `config`, `version` and the container's health
check never pay for the server. A bad configuration is one line on stderr and exit code 2.
"""

import argparse
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llm_proxy import __version__
from llm_proxy.arguments import build_parser, refuse_lone_options
from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.secret import Secret

if TYPE_CHECKING:
    from llm_proxy.config.settings import Settings

# ruff: noqa: PLC0415 - imports stand inside the commands on purpose, see above

_DEMO_BLANKS = (
    "PROXY_FORMATS",
    "PROXY_MODELS",
    "MODEL_MAP",
    "MODEL_FALLBACKS",
    "OUTBOUND_PROXY",
    "LLM_PROXY_CONFIG",
)
"""Variables that describe real upstreams and mean nothing to the built-in one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 good, 1 bad findings, 2 bad configuration."""
    _open_closed_streams()
    parser = build_parser()
    options = parser.parse_args(argv)
    config: str | None = getattr(options, "config", None)  # given before or after the command
    refuse_lone_options(parser, options)
    commands = {
        "serve": _serve,
        "demo": _demo,
        "check": _check,
        "config": _config,
        "health": _health,
        "version": _version,
    }
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that has no `…` gets an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if getattr(options, "explain", None) is not None:
            return _explain(config, options)
        if options.command == "completion":
            return _completion(options.shell)
        return commands[options.command or "serve"](config)
    except ConfigError as error:
        print(f"llm-proxy: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `llm-proxy config | head`: the reader had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _open_closed_streams() -> None:
    """Lead standard streams that were closed (`2>&-`) to nowhere.

    Left closed, their numbers would go to the next files and sockets, and what is written to them
    would reach a client or the records.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, so this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - for life
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - for life


def _serve(config: str | None) -> int:
    from llm_proxy.config.load import from_process, generated_key

    settings = from_process(config)
    known = generated_key(settings)
    _show_new_key(settings.has_new_key, known, settings.data_dir)
    from llm_proxy.app import serve

    return serve(settings, load_again=lambda: from_process(config, known_key=known))


def _demo(config: str | None) -> int:
    """Serve with the built-in provider: two addresses, the first with two keys."""
    import socket

    from llm_proxy.config.load import generated_key, load, process_environ

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    try:
        first, second = (f"http://127.0.0.1:{one.getsockname()[1]}/v1" for one in sockets)
        environ = process_environ() | dict.fromkeys(_DEMO_BLANKS, "")
        environ["PROXY_URL"] = f"{first},{first},{second}"
        environ["API_KEY"] = "demo-first-key-a1,demo-first-key-a2,demo-second-key-b1"
        path = Path(config) if config else None

        def load_again(known: Secret | None = None) -> "Settings":
            return load(environ, config_path=path, cwd=Path.cwd(), demo=True, known_key=known)

        settings = load_again()
        known = generated_key(settings)
        _show_new_key(settings.has_new_key, known, settings.data_dir)
        from llm_proxy.app import serve

        return serve(settings, load_again=lambda: load_again(known), demo_sockets=sockets)
    finally:
        for one in sockets:
            one.close()


def _show_new_key(is_new: bool, key: Secret | None, data_dir: Path) -> None:
    from llm_proxy.config.access import FILE

    if key is None:
        return
    if is_new:
        print(f"Access key for your clients, made just now: {key.reveal()}", flush=True)
    if (data_dir / FILE).exists():  # else a warning tells that it lasts one run
        print(f"The access key is kept in {data_dir / FILE}", flush=True)


def _check(config: str | None) -> int:
    from llm_proxy.check import check
    from llm_proxy.config.load import examine_process

    try:
        settings, problems = examine_process(config)
    except ConfigError as error:
        print(f"FAIL  {error}")
        return 1
    has_failed = False
    for finding in check(settings, problems):
        has_failed = has_failed or finding.level == "FAIL"
        print(f"{finding.level:4}  {finding.text}", flush=True)
    return 1 if has_failed else 0


def _explain(config: str | None, options: argparse.Namespace) -> int:
    import msgspec

    from llm_proxy.config.load import examine_process
    from llm_proxy.explain import lines, report_on

    settings, problems = examine_process(config)
    report = report_on(settings, options.explain, options.format or "chat")
    if report.source == "configuration" and problems:
        for problem in problems:
            print(f"FAIL  {problem}", file=sys.stderr)
        return 1
    if options.json:
        print(msgspec.json.encode(report).decode())
    else:
        for line in lines(report, time.time()):
            print(line)
    return 0 if report.outlook.would_serve else 1


def _config(config: str | None) -> int:
    from llm_proxy.config.load import examine_process
    from llm_proxy.config.show import lines

    settings, problems = examine_process(config)
    for line in lines(settings):
        print(line)
    for problem in problems:
        print(f"llm-proxy: {problem}", file=sys.stderr)
    return 2 if problems else 0


def _health(config: str | None) -> int:
    from llm_proxy.check import is_healthy
    from llm_proxy.config.load import examine_process

    settings, _ = examine_process(config)
    return 0 if is_healthy(settings.host, settings.port) else 1


def _completion(shell: str) -> int:
    from llm_proxy.completion import script

    print(script(build_parser(), shell))
    return 0


def _version(_: str | None) -> int:
    print(f"llm-proxy {__version__}")
    return 0
