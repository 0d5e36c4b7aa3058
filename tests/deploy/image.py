"""Carries out a Dockerfile without a container engine: its own steps, in roots of their own.

Only what our Dockerfile uses is understood; anything else fails loudly. Needs root, debootstrap
and a Debian mirror. A Debian of the Python release that the file names stands for its base image.
"""

import os
import re
import shlex
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

BASE = "python:3.13-slim"
SUITE = "trixie"
"""The Debian whose own Python is that of BASE."""
STEP_TIMEOUT_S = 600
DESCRIPTIONS = frozenset(
    {"LABEL", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
)
"""Instructions that change no file."""


class Step(NamedTuple):
    """One instruction: its name and what follows."""

    name: str
    text: str


def read_steps(path: Path) -> list[Step]:
    """Return a Dockerfile's instructions, continued lines joined."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Step(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def included(context: Path) -> list[Path]:
    """Return the files of a build's context that `.dockerignore` lets in."""
    rules = [
        (line.removeprefix("!").rstrip("/"), line.startswith("!"))
        for line in (context / ".dockerignore").read_text("utf-8").split()
    ]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=context,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return [Path(name) for name in listed.split("\0") if name and _is_in(name, rules)]


def _is_in(name: str, rules: list[tuple[str, bool]]) -> bool:
    is_in = True
    for pattern, is_let_in in rules:
        bare = pattern.removeprefix("**/")
        parts = name.split("/")
        if bare != pattern:
            is_hit = any(fnmatch(part, bare) for part in parts)
        else:
            heads = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
            is_hit = any(fnmatch(head, pattern) for head in heads)
        if is_hit:
            is_in = is_let_in
    return is_in


class Stage:
    """A root in which instructions are carried out.

    Attributes:
        root: Its folder.
        environment: What `ENV` has set.
        settings: Instructions that only describe the image, by name.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.settings: dict[str, str] = {}
        self._folder = "/"

    def carry_out(self, step: Step, context: Path, others: dict[str, "Stage"]) -> None:
        """Do what one instruction says."""
        if step.name == "ENV":
            for word in shlex.split(step.text):
                name, _, value = word.partition("=")
                self.environment[name] = value.replace("$PATH", self.environment["PATH"])
        elif step.name == "WORKDIR":
            self._folder = step.text
            self.inside(step.text).mkdir(parents=True, exist_ok=True)
        elif step.name == "RUN":
            self.run(step.text)
        elif step.name == "COPY":
            self._copy(step.text.split(), context, others)
        elif step.name in DESCRIPTIONS:
            self.settings[step.name] = step.text
        else:
            raise AssertionError(f"an instruction nobody knows here: {step}")

    def inside(self, path: str) -> Path:
        """Return where a path of the root lies."""
        return self.root / os.path.normpath(Path(self._folder, path)).lstrip("/")

    def run(self, command: str) -> None:
        """Run a shell command in the root, as root, with /dev and /proc."""
        script = (
            f"mount --rbind /dev {self.root}/dev && mount -t proc proc {self.root}/proc && "
            f'exec chroot {self.root} /bin/sh -ec "cd {self._folder}; $0"'
        )
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, command],
            env=self.environment | _way_out(),
            capture_output=True,
            text=True,
            check=False,
            timeout=STEP_TIMEOUT_S,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"

    def _copy(self, words: list[str], context: Path, others: dict[str, "Stage"]) -> None:
        *sources, target = words
        if sources[0].startswith("--from="):
            _, source = sources
            origin = others[sources[0].removeprefix("--from=")]
            shutil.copytree(
                origin.inside(source), self.inside(target), symlinks=True, dirs_exist_ok=True
            )
            return
        (source,) = sources
        start = Path(source.rstrip("/"))
        for path in included(context):
            if start == Path() or path.is_relative_to(start):
                place = self.inside(target) / path.relative_to(start)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(context / path, place)


def _way_out() -> dict[str, str]:
    """Return the variables by which this machine reaches its package mirrors."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE")
    both = [name for name in (*names, *map(str.lower, names)) if name in os.environ]
    extra = ("NODE_EXTRA_CA_CERTS", "npm_config_registry")
    return {name: os.environ[name] for name in (*both, *extra) if name in os.environ}


def make_base(root: Path) -> None:
    """Make a Debian root that offers what the base image does."""
    packages = "python3,python3-venv,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={packages}", SUITE, str(root)],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=STEP_TIMEOUT_S,
    )
    for name in ("python", "python3"):
        (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    for name in ("/etc/ssl/certs/ca-certificates.crt", "/etc/resolv.conf", "/etc/pip.conf"):
        if Path(name).is_file():
            (root / name.lstrip("/")).unlink(missing_ok=True)
            shutil.copy(name, root / name.lstrip("/"))
    for path in Path("/etc/apt/apt.conf.d").glob("*"):
        shutil.copy(path, root / "etc/apt/apt.conf.d")


def build(context: Path, folder: Path) -> Stage:
    """Carry out `context`'s Dockerfile in `folder` and return its last stage."""
    base = folder / "base"
    make_base(base)
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for step in read_steps(context / "Dockerfile"):
        if step.name == "FROM":
            image, _, name = step.text.partition(" AS ")
            assert image == BASE, f"the base image has changed: {image}"
            stage = stages[name or "last"] = Stage(folder / (name or "last"))
            subprocess.run(["cp", "-a", str(base), str(stage.root)], check=True)
        else:
            assert stage is not None
            stage.carry_out(step, context, stages)
    return stages["last"]
