"""What the shells offer while somebody types, asked of the shells themselves; and what --help says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from llm_proxy.arguments import COMMANDS, SHELLS, build_parser
from llm_proxy.cli import main
from llm_proxy.completion import script

NAMES = [one.name for one in COMMANDS]

BASH = r"""
source ./script
IFS=' ' read -ra COMP_WORDS <<< "$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_llm_proxy
printf '%s\n' "${COMPREPLY[@]}"
"""
FISH = 'source ./script; complete -C "$argv[1]" | string split -f1 \\t; true'


def offers(folder: Path, shell: str, line: str) -> list[str]:
    """Return what a shell offers behind a line."""
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    (folder / "script").write_text(script(build_parser(), shell))
    command = ["bash", "-c", BASH, "bash"] if shell == "bash" else ["fish", "-c", FISH]
    done = subprocess.run(
        [*command, line], cwd=folder, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == ""
    return sorted(done.stdout.split())


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("llm-proxy c", ["check", "completion", "config"]),
        ("llm-proxy check --ex", ["--explain"]),
        ("llm-proxy check --format ", ["chat", "messages", "responses"]),
        ("llm-proxy completion ", [*sorted(SHELLS)]),
        ("llm-proxy check --config sc", ["script"]),
        ("llm-proxy demo --ex", []),
    ],
    ids=["command", "option", "choice", "positional", "file", "of_another_command"],
)
def test_a_shell_offers_what_may_follow(
    tmp_path: Path, shell: str, line: str, expected: list[str]
) -> None:
    offered = [word for word in offers(tmp_path, shell, line) if not word.startswith("-")]
    if expected and expected[0].startswith("-"):
        offered = offers(tmp_path, shell, line)
    assert offered == expected


def test_zsh_takes_the_script_for_the_program(tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("needs zsh")
    (tmp_path / "script").write_text(script(build_parser(), "zsh"))
    asked = "autoload -Uz compinit; compinit -D -u; source ./script; print $_comps[llm-proxy]; whence -w _llm_proxy"
    done = subprocess.run(
        ["zsh", "-f", "-c", asked],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.split("\n")[:2] == ["_llm_proxy", "_llm_proxy: function"]
    assert done.stderr == ""


def test_every_script_knows_every_command_and_option() -> None:
    for shell in SHELLS:
        text = script(build_parser(), shell)
        for word in [*NAMES, "explain", "format", "json", "config", "help"]:
            assert re.search(rf"\b{word}\b", text), (shell, word)


def test_an_unknown_shell_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert all(shell in said for shell in SHELLS)


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command_has_its_exit_codes_and_examples_that_can_be_typed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "exit codes:\n  0  " in text
    for typed in re.findall(r"llm-proxy((?: [\w./-]+)+)", text.partition("examples:")[2]):
        assert build_parser().parse_args(typed.split()).command in (*NAMES, None)
