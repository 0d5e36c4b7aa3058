"""Shell completions, made from the parser, so that they never lag behind it.

Each script knows the commands, the options of each, what an option may be set to, and which ones
take a file. Nothing is run while somebody types.
"""

import argparse
from typing import NamedTuple


class Option(NamedTuple):
    """An option or a positional word.

    Attributes:
        names: How it is spelt; empty for a positional one.
        text: What it does.
        choices: What it may be set to, if that is a list.
        takes: What follows it: nothing, a file, or any word.
    """

    names: tuple[str, ...]
    text: str
    choices: tuple[str, ...]
    takes: str


class Words(NamedTuple):
    """What may be typed behind the program or a command."""

    name: str
    text: str
    options: tuple[Option, ...]


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion script for `bash`, `zsh` or `fish`."""
    (commands,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))  # noqa: SLF001
    texts = {one.dest: one.help or "" for one in commands._choices_actions}  # noqa: SLF001
    top = Words("", "", _options(parser))
    below = [Words(name, texts[name], _options(one)) for name, one in commands.choices.items()]
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](top, below)


def _options(parser: argparse.ArgumentParser) -> tuple[Option, ...]:
    found = []
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way to its actions
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        choices = tuple(str(one) for one in action.choices or ())
        takes = "" if action.nargs == 0 else "file" if action.metavar == "PATH" else "word"
        found.append(Option(tuple(action.option_strings), action.help or "", choices, takes))
    return tuple(found)


def _bash(top: Words, commands: list[Words]) -> str:
    names = [one.name for one in commands]
    everywhere = {one.names: one for words in (top, *commands) for one in words.options}
    values = []
    for option in everywhere.values():
        if option.names and option.takes:
            what = "-f" if option.takes == "file" else f'-W "{" ".join(option.choices)}"'
            reply = f'COMPREPLY=($(compgen {what} -- "$word")); return ;;'
            values.append(f"    {'|'.join(option.names)}) {reply}")
    typed = [
        " ".join(w for one in words.options for w in one.names or one.choices) for words in commands
    ]
    offered = " ".join([*names, *(name for one in top.options for name in one.names)])
    return "\n".join([
        "# llm-proxy completion for bash",
        "_llm_proxy() {",
        "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} one command=",
        f'  local offered="{offered}"',
        '  for one in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        f"    case $one in {'|'.join(names)}) command=$one; break ;; esac",
        "  done",
        "  case $before in",
        *values,
        "  esac",
        "  case $command in",
        *(f'    {name}) offered="{words}" ;;' for name, words in zip(names, typed, strict=True)),
        "  esac",
        '  COMPREPLY=($(compgen -W "$offered" -- "$word"))',
        "}",
        "complete -F _llm_proxy llm-proxy",
    ])  # fmt: skip


def _zsh(top: Words, commands: list[Words]) -> str:
    listed = [f"    {_quoted(f'{one.name}:{one.text}')}" for one in commands]
    cases = []
    for words in commands:
        specs = " ".join(_zsh_spec(one) for one in words.options)
        cases.append(f"    {words.name}) _arguments {specs} ;;")
    top_specs = " ".join(_zsh_spec(one) for one in top.options)
    return "\n".join([
        "#compdef llm-proxy",
        "# llm-proxy completion for zsh",
        "_llm_proxy() {",
        "  local -a commands",
        "  local context state state_descr line",
        "  typeset -A opt_args",
        "  commands=(",
        *listed,
        "  )",
        f"  _arguments -C {top_specs} '1:command:->command' '*::argument:->argument'",
        "  case $state in",
        "    command) _describe -t commands command commands ;;",
        "    argument) case $words[1] in",
        *(f"  {line}" for line in cases),
        "    esac ;;",
        "  esac",
        "}",
        'if [[ "${funcstack[1]-}" == _llm_proxy ]]; then _llm_proxy "$@"',
        "else compdef _llm_proxy llm-proxy; fi",
    ])  # fmt: skip


def _zsh_spec(option: Option) -> str:
    values = f"({' '.join(option.choices)})" if option.choices else ""
    if not option.names:
        return _quoted(f"1:argument:{values}")
    text = option.text.replace("[", "(").replace("]", ")").replace(":", "\\:")
    tail = {"": "", "file": ":file:_files", "word": f":value:{values}"}[option.takes]
    return " ".join(_quoted(f"{name}[{text}]{tail}") for name in option.names)


def _fish(top: Words, commands: list[Words]) -> str:
    lines = ["# llm-proxy completion for fish", "complete -c llm-proxy -f"]
    lines += [_fish_line("__fish_use_subcommand", one) for one in top.options]
    for words in commands:
        lines.append(
            f"complete -c llm-proxy -n __fish_use_subcommand -a {words.name} "
            f"-d {_quoted(words.text)}"
        )
        seen = f"__fish_seen_subcommand_from {words.name}"
        lines += [_fish_line(seen, one) for one in words.options]
    return "\n".join(lines)


def _fish_line(condition: str, option: Option) -> str:
    words = ["complete -c llm-proxy -n", _quoted(condition)]
    words += [f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in option.names]
    if option.names and option.takes:
        words.append("-r -F" if option.takes == "file" else "-x")
    if option.choices:
        words += ["-a", _quoted(" ".join(option.choices))]
    return " ".join([*words, "-d", _quoted(option.text)])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
