"""The command line: its words, what `--help` says of them, and how each command ends.

Everything the shell completions (`completion.py`) offer is read off the parser made here.
"""

import argparse
from typing import NamedTuple

from llm_proxy import __version__

SHELLS = ("bash", "zsh", "fish")


class Command(NamedTuple):
    """A command as `--help` tells of it.

    Attributes:
        name: What is typed.
        summary: Its line in the list of commands.
        text: What it does, for its own page.
        examples: Lines to copy.
        exits: Exit codes and what they mean.
    """

    name: str
    summary: str
    text: str
    examples: tuple[str, ...]
    exits: tuple[tuple[int, str], ...]


_BAD = (2, "the configuration or the command line cannot be used; stderr says why")
_SERVES = (
    (0, "ended in order, by SIGTERM or Ctrl-C"),
    (2, "the configuration or the command line cannot be used, or the port is taken"),
)

COMMANDS = (
    Command(
        "serve",
        "serve (the default)",
        "Serve clients on HOST and PORT until SIGTERM or Ctrl-C. A second signal ends at once what "
        "still runs; SIGHUP reads the file again.",
        (
            "PROXY_URL=https://api.example.com/v1 API_KEY=sk-... MY_ACCESS_KEY=... llm-proxy",
            "llm-proxy --config /etc/llm-proxy.toml",
        ),
        _SERVES,
    ),
    Command(
        "demo",
        "serve with a built-in provider, to look around without a key",
        "Serve with a built-in provider that limits every third request to one of its two "
        "upstreams. Any model name is answered; demo-500, demo-cut and demo-slow misbehave.",
        ("llm-proxy demo", "PORT=9000 llm-proxy demo"),
        _SERVES,
    ),
    Command(
        "check",
        "say what is wrong in the configuration and try each upstream and key",
        "Read the configuration, then try each upstream and key, without spending tokens.",
        ("llm-proxy check && llm-proxy", "llm-proxy check --explain gpt-5 --format responses"),
        (
            (0, "usable; with --explain: a key would serve the model"),
            (1, "a line says FAIL; with --explain: no key would serve the model"),
            _BAD,
        ),
    ),
    Command(
        "config",
        "print the effective configuration, secrets masked",
        "Print every setting in force and where it comes from. Secrets show their last characters.",
        ("llm-proxy config", "llm-proxy config | grep -v default"),
        ((0, "printed"), _BAD),
    ),
    Command(
        "health",
        "exit 0 if the proxy on this machine answers, for container health checks",
        "Ask the proxy on this machine for /health, at the PORT of the configuration.",
        ("llm-proxy health",),
        ((0, "it answers"), (1, "it does not")),
    ),
    Command(
        "completion",
        "print a script that completes commands and options in a shell",
        "Print a script for a shell, made from this very program.",
        (
            'eval "$(llm-proxy completion bash)"      # in ~/.bashrc',
            'eval "$(llm-proxy completion zsh)"       # in ~/.zshrc, behind compinit',
            "llm-proxy completion fish > ~/.config/fish/completions/llm-proxy.fish",
        ),
        ((0, "printed"), (2, "no such shell")),
    ),
    Command("version", "print the version", "Print the version.", (), ((0, "printed"),)),
)

_DESCRIPTION = """\
A highly available proxy between AI clients and LLM providers: it tries again
where a provider fails, streams as it comes, and shows on one page what happened."""

_EPILOG = """\
settings (variables, or the same names in small letters in the file):
  PROXY_URL        address of the provider; several separated by commas
  API_KEY          its key; several separated by commas, or `none`
  MY_ACCESS_KEY    the key that clients must present
  MAX_RETRIES      further attempts after the first (3)
  HOST, PORT       where to listen (0.0.0.0, 8000)
  DATA_DIR         folder of the records (./data)
All of them: docs/settings.md.

examples:
  llm-proxy demo                           look around without a provider
  llm-proxy check && llm-proxy             try everything, then serve
  llm-proxy COMMAND --help                 examples and exit codes of a command

exit codes:
  0    done, or ended in order
  1    `check` found something wrong, or `health` got no answer
  2    the configuration or the command line cannot be used, or the port is taken
  130  interrupted before it served"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--config",
        metavar="PATH",
        default=argparse.SUPPRESS,
        help="TOML file (else LLM_PROXY_CONFIG, else ./llm-proxy.toml if present)",
    )
    parser = argparse.ArgumentParser(
        prog="llm-proxy",
        parents=[shared],
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"llm-proxy {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for one in COMMANDS:
        command = commands.add_parser(
            one.name,
            help=one.summary,
            description=one.text,
            epilog=_page_end(one),
            parents=[shared],
            formatter_class=_Formatter,
        )
        if one.name == "check":
            _add_explain(command)
        if one.name == "completion":
            command.add_argument("shell", choices=SHELLS, help="the shell it is for")
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keep the lines of examples, but fold a description, which is one long line."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)  # noqa: SLF001


def _page_end(command: Command) -> str:
    examples = [f"  {line}" for line in command.examples]
    codes = [f"  {code}  {text}" for code, text in command.exits]
    return "\n".join([*(["examples:", *examples, ""] if examples else []), "exit codes:", *codes])


def _add_explain(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--explain",
        metavar="MODEL",
        help="say instead which key would serve MODEL now, in which order, and why the others "
        "would not: as the running proxy knows it, else by the configuration alone; "
        "exit code 1 if none would",
    )
    command.add_argument(
        "--format",
        choices=("chat", "messages", "responses"),
        help="with --explain: the format the client speaks (default: chat)",
    )
    command.add_argument("--json", action="store_true", help="with --explain: print JSON")


def refuse_lone_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a line where options stand without the one they belong to."""
    is_explained = getattr(options, "explain", None) is not None
    if not is_explained and (getattr(options, "format", None) or getattr(options, "json", False)):
        parser.error("--format and --json belong to check --explain MODEL")
    if is_explained and not options.explain.strip():
        parser.error("--explain needs the name of a model")
