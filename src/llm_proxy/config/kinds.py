"""What a setting's value may look like: how it is read, and how the reference page names it.

A kind stands beside its field in `settings.py` (`Annotated[int, Whole(0, 100, "5")]`), so type,
range, example and default of a setting are written once. `parse` gets text that is already free
of stray quotes and blanks, and raises ValueError with a problem that never repeats the value:
what stands in the wrong variable is often a key.
"""

import math
import re
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.secret import Secret

FORMATS = ("chat", "messages", "responses")
"""What an upstream can speak."""

_ON = frozenset({"on", "1", "true", "yes"})
_OFF = frozenset({"off", "0", "false", "no"})
_LONGEST_S = 86_400.0
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@]+")


class Kind(Protocol):
    """Says what is allowed, in both languages, and reads it."""

    @property
    def says(self) -> str:
        """Return what is allowed, as in "use …"."""

    @property
    def says_zh(self) -> str:
        """Return the same in Chinese."""

    @property
    def example(self) -> str:
        """Return a value that works."""

    def parse(self, text: str) -> Any:
        """Return the value.

        Raises:
            ValueError: It is unusable; the text says why, without repeating it.
        """


class Whole(msgspec.Struct, frozen=True):
    """A whole number from `low` to `high`."""

    low: int
    high: int
    example: str

    @property
    def says(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    @property
    def says_zh(self) -> str:
        return f"{self.low} 到 {self.high} 的整数"

    def parse(self, text: str) -> int:
        # Digits only: int() would also take "1_0", "+3" and digits of other scripts.
        if not re.fullmatch(r"-?[0-9]{1,15}", text):
            raise ValueError("is not a whole number")
        number = int(text)
        if not self.low <= number <= self.high:
            raise ValueError("is out of range")
        return number


class Seconds(msgspec.Struct, frozen=True):
    """A length of time in seconds, fractions allowed."""

    example: str
    zero: tuple[str, str] = ("off", "关闭")

    @property
    def says(self) -> str:
        return f"seconds, fractions allowed, 0 = {self.zero[0]}"

    @property
    def says_zh(self) -> str:
        return f"秒数，可带小数，0 = {self.zero[1]}"

    def parse(self, text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            raise ValueError("is not a number of seconds") from None
        if not math.isfinite(seconds) or not 0 <= seconds <= _LONGEST_S:
            raise ValueError("is not between 0 and 86400 seconds")
        return seconds


class Choice(msgspec.Struct, frozen=True):
    """One word of a few; `also` maps other spellings to them."""

    words: tuple[str, ...]
    example: str
    also: dict[str, str] = {}

    @property
    def says(self) -> str:
        return "one of " + ", ".join(f"`{word}`" for word in self.words)

    @property
    def says_zh(self) -> str:
        return "以下之一：" + "、".join(f"`{word}`" for word in self.words)

    def parse(self, text: str) -> str:
        word = text.lower()
        word = self.also.get(word, word)
        if word not in self.words:
            raise ValueError("is not one of the words allowed")
        return word


class Switch(msgspec.Struct, frozen=True):
    """On or off."""

    example: str
    says: str = "`on` or `off` (also 1/0, true/false, yes/no)"
    says_zh: str = "`on` 或 `off`（也可写 1/0、true/false、yes/no）"

    def parse(self, text: str) -> bool:
        word = text.lower()
        if word not in _ON | _OFF:
            raise ValueError("is neither on nor off")
        return word in _ON


class Folder(msgspec.Struct, frozen=True):
    """A folder's path."""

    example: str
    says: str = "a folder"
    says_zh: str = "文件夹路径"

    def parse(self, text: str) -> Path:
        if "\0" in text:
            raise ValueError("holds a NUL character")
        return Path(text)


class Lists(msgspec.Struct, frozen=True):
    """Lists of words: commas inside a list, semicolons between the lists of several addresses.

    Attributes:
        words: The words allowed; empty = any.
        anything: The word that stands for the empty list.
    """

    words: tuple[str, ...]
    anything: str
    example: str
    says: str
    says_zh: str

    def parse(self, text: str) -> tuple[tuple[str, ...], ...]:
        return tuple(self._one(part) for part in text.rstrip("; \n").split(";"))

    def _one(self, text: str) -> tuple[str, ...]:
        words = list(dict.fromkeys(word for word in re.split(r"[,\s]+", text) if word))
        if not words:
            raise ValueError(f"has an empty list between semicolons (`{self.anything}` means all)")
        if self.words:
            words = [word.lower() for word in words]
        if self.anything in words:
            if len(words) > 1:
                raise ValueError(f"mixes `{self.anything}` with other words")
            return ()
        if self.words and not set(words) <= set(self.words):
            raise ValueError("holds an unknown word")
        return tuple(words)


class Pairs(msgspec.Struct, frozen=True):
    """`left=right` pairs, separated by commas."""

    example: str
    says: str = "`from=to` pairs, comma-separated"
    says_zh: str = "`原名=新名` 对，用逗号分隔"

    def parse(self, text: str) -> tuple[tuple[str, str], ...]:
        pairs: dict[str, str] = {}
        for piece in re.split(r"[,;\n]", text):
            if not piece.strip():
                continue
            left, _, right = (part.strip() for part in piece.partition("="))
            if not left or not right:
                raise ValueError("holds a pair without = or with an empty side")
            if "*" in right:
                raise ValueError("holds a * on the right side of a pair")
            if left in pairs:
                raise ValueError("has two pairs with the same left side")
            pairs[left] = right
        return tuple(pairs.items())


class Origins(msgspec.Struct, frozen=True):
    """Origins of browser pages, `*`, or `none`."""

    example: str
    says: str = "`*`, `none`, or origins such as `https://app.example.com`, comma-separated"
    says_zh: str = "`*`、`none`，或用逗号分隔的来源，如 `https://app.example.com`"

    def parse(self, text: str) -> tuple[str, ...]:
        if text.lower() == "none":
            return ()
        origins = [piece.rstrip("/").lower() for piece in re.split(r"[,;\s]+", text) if piece]
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError("holds something that is no origin (scheme://host, no path)")
        return ("*",) if "*" in origins else tuple(dict.fromkeys(origins))


class WebAddress(msgspec.Struct, frozen=True):
    """An address to post to, secret as a whole."""

    example: str
    says: str = "`https://…` or `http://…`"
    says_zh: str = "`https://…` 或 `http://…`"

    def parse(self, text: str) -> Secret:
        try:
            parts = urlsplit(text)
            is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_good = False
        if not is_good or not text.isascii() or re.search(r"[\s\x00-\x1f]", text):
            raise ValueError("is no http address")
        return Secret(text)


class Special(msgspec.Struct, frozen=True):
    """A value whose reading needs more than its text; `load.py` says who reads it."""

    says: str
    says_zh: str
    example: str

    def parse(self, text: str) -> str:
        return text


def parse_as(kind: Kind, spelled: str, text: str) -> Any:
    """Return the value of the setting that the user wrote as `spelled`.

    Raises:
        ConfigError: It is unusable; the line names what is allowed and an example that works.
    """
    try:
        return kind.parse(text)
    except ValueError as error:
        fix = f"Use {kind.says}; for example {assignment(spelled, kind.example)}"
        raise ConfigError(spelled, str(error), fix) from None


def assignment(spelled: str, value: str) -> str:
    """Return `NAME=value` for a variable, `name = "value"` for a name of the file."""
    if spelled.isupper():
        return f"{spelled}={value}"
    bare = re.fullmatch(r"[0-9.]+", value)
    return f"{spelled} = {value}" if bare else f'{spelled} = "{value}"'
