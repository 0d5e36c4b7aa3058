"""Knows what was written where: environment before file, and how the user spelled each name.

It also gathers what is to be said: repairs, warnings and problems. Problems are gathered rather
than raised so that `llm-proxy check` can list all of them; a start stops at the first.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from llm_proxy.domain.errors import ConfigError

from .file import Written
from .repair import Repairs, cleaned

_T = TypeVar("_T")


class Reading:
    """One pass over the configuration.

    Attributes:
        environ: The environment.
        written: The file, or nothing.
        repairs: What was repaired.
        warnings: What is probably a mistake.
        problems: What stops the start, in order.
        origins: Setting → `environment`, `file` or `default`, for all that were asked for.
    """

    __slots__ = ("environ", "origins", "problems", "repairs", "warnings", "written")

    def __init__(self, environ: Mapping[str, str], written: Written) -> None:
        self.environ = environ
        self.written = written
        self.repairs = Repairs()
        self.warnings: list[str] = []
        self.problems: list[ConfigError] = []
        self.origins: dict[str, str] = {}

    def raw(self, name: str) -> str | None:
        """Return the value as written; None = nowhere. A blank variable counts as not set."""
        for origin, value in (
            ("environment", self.environ.get(name.upper(), "")),
            ("file", self.written.values.get(name, "")),
        ):
            if value.strip():
                self.origins[name] = origin
                return self._as_text(name, value)
        self.origins[name] = "default"
        return None

    def text(self, name: str) -> str | None:
        """Return the value without stray quotes, blanks and full-width characters."""
        value = self.raw(name)
        if value is None:
            return None
        return cleaned(self.spelled(name), value, self.repairs) or None

    def _as_text(self, name: str, value: str) -> str | None:
        # Bytes of a variable that are no UTF-8 arrive as lone surrogates, which nothing can print.
        try:
            value.encode()
        except UnicodeEncodeError:
            problem = ConfigError(self.spelled(name), "is not UTF-8 text", "Write it anew")
            self.problems.append(problem)
            return None
        return value

    def spelled(self, name: str) -> str:
        """Return the setting's name as the user wrote it; the variable's where it is not set."""
        return name if self.origins.get(name) == "file" else name.upper()

    def warn(self, line: str) -> None:
        """Remember a probable mistake, once."""
        if line not in self.warnings:
            self.warnings.append(line)

    def attempt(self, read: Callable[[], _T], otherwise: _T) -> _T:
        """Return what `read` returns; gather its ConfigError and return `otherwise`."""
        try:
            return read()
        except ConfigError as problem:
            self.problems.append(problem)
            return otherwise
