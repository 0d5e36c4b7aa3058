"""Reads the clients' keys, and makes one where nobody else can reach the proxy.

A proxy that other machines can reach never starts without a key of the user's own: a generated
one would scroll by in a log. On loopback, and in the demo, a generated key is kept in the data
folder, so that clients which were set up with it still work after a restart.
"""

import contextlib
import os
import re
import secrets
from pathlib import Path

from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.secret import AccessKey, Secret

from .reading import Reading
from .repair import cleaned, items, without_header_words

FILE = "access-key"
"""Name of the generated key's file in the data folder."""

_NAMED = re.compile(r"([A-Za-z0-9_-]{1,32}):(.+)", re.DOTALL)
_SHORTEST_PIECE = 8
_SHORT = 12
_EXAMPLES = frozenset({"my-secret-key-12345", "my-first-long-secret", "my-second-long-secret"})


def read_access_keys(reading: Reading) -> tuple[AccessKey, ...]:
    """Return the keys of MY_ACCESS_KEY; empty when it is not set.

    Raises:
        ConfigError: A key is unusable, or two keys share a name.
    """
    raw = reading.raw("my_access_key")
    if raw is None:
        return ()
    setting = reading.spelled("my_access_key")
    text = cleaned(setting, raw, reading.repairs)
    text = without_header_words(setting, text, reading.repairs)
    pieces = items(setting, text, reading.repairs)
    if not pieces:
        return ()
    named = [_split_name(piece) for piece in pieces]
    # Cut at blanks or semicolons, one long pass phrase would turn into several short keys.
    parted_by_commas = [part.strip() for part in text.strip(",; \t\r\n").split(",")]
    was_recut = len([part for part in parted_by_commas if part]) != len(pieces)
    if was_recut and min(len(key) for _, key in named) < _SHORTEST_PIECE:
        fix = "Separate keys by commas, and use no blanks or semicolons inside a key"
        raise ConfigError(setting, "holds a blank or semicolon inside a short key", fix)
    return _unique(setting, named, reading)


def _split_name(piece: str) -> tuple[str | None, str]:
    named = _NAMED.fullmatch(piece)
    return (named[1], named[2]) if named else (None, piece)


def _unique(
    setting: str, named: list[tuple[str | None, str]], reading: Reading
) -> tuple[AccessKey, ...]:
    keys: dict[str, AccessKey] = {}
    seen: set[Secret] = set()
    for position, (name, value) in enumerate(named, 1):
        check_key_text(setting, value)
        secret = Secret(value)
        if secret in seen:
            reading.repairs.say(setting, "a duplicate removed")
            continue
        seen.add(secret)
        label = name or f"key-{position}"
        if label in keys:
            fix = "Give each key its own name, as in phone:KEY-1,friend:KEY-2"
            raise ConfigError(setting, f"names two keys {label}", fix)
        keys[label] = AccessKey(label, secret)
        if value in _EXAMPLES:
            reading.warn(f"{setting}: {label} is an example of the documentation; anyone knows it")
        elif len(value) < _SHORT:
            reading.warn(f"{setting}: {label} is short (under {_SHORT} characters), easy to guess")
    return tuple(keys.values())


def check_key_text(setting: str, value: str) -> None:
    """Refuse what cannot stand in a header.

    Raises:
        ConfigError: `value` holds other characters than visible ASCII ones.
    """
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        problem = "holds a key with characters that no request header can carry"
        raise ConfigError(setting, problem, "Use letters, digits and ASCII punctuation only")


def new_key() -> str:
    """Return a fresh access key; letters and digits after `sk-`, as clients expect it."""
    return f"sk-{secrets.token_hex(24)}"


def refuse_open_door(reading: Reading, host: str) -> ConfigError:
    """Return the error for a proxy without a key that other machines could reach."""
    where = f"is not set, and other machines can reach HOST={host}"
    if reading.origins.get("host") == "default":
        where = "is not set, and other machines can reach this one"
    return ConfigError(
        "MY_ACCESS_KEY",
        where,
        f"Set the key that clients must send, for example this fresh one: "
        f"MY_ACCESS_KEY={new_key()} (or HOST=127.0.0.1 to keep others out)",
    )


def kept_key(data_dir: Path) -> Secret | None:
    """Return the generated key of an earlier start; None = none, or damaged."""
    try:
        text = (data_dir / FILE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Secret(text) if re.fullmatch(r"sk-[0-9a-f]{48}", text) else None


def keep_key(data_dir: Path, key: Secret) -> bool:
    """Write `key` to the data folder, readable by its owner alone; return whether it worked.

    The file appears whole or not at all: a start that is killed here leaves no damaged key.
    """
    unfinished = data_dir / f"{FILE}.{secrets.token_hex(4)}"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{key.reveal()}\n")
        unfinished.replace(data_dir / FILE)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        return False
    return True
