"""Repairs values whose meaning is plain: stray quotes, blanks, full-width characters, separators.

Values come from web forms, chat windows and shells, which add quotes, line breaks, full-width
punctuation and invisible characters. Each repair is said once; no text of a repair repeats the
value, as it may be a key.
"""

import re

_WIDE: dict[int, int | str] = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width forms of ASCII, `！` to `～`."""
_WIDE |= {
    0x3000: " ",
    0x00A0: " ",
    0x3001: ",",
    0x3002: ".",
    0x201C: '"',
    0x201D: '"',
    0x2018: "'",
    0x2019: "'",
    0x300C: '"',
    0x300D: '"',
}
_INVISIBLE = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_QUOTES = "\"'`"
_HEADER_WORDS = re.compile(r"(?i)\b(?:(?:authorization|x-api-key|api-key)\s*:\s*|bearer\s+)")


class Repairs:
    """Collects what was repaired, each line once, in order.

    Attributes:
        lines: `PROXY_URL: quotes removed`.
    """

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, setting: str, what: str) -> None:
        """Remember that `what` was done to the value of `setting`."""
        line = f"{setting}: {what}"
        if line not in self.lines:
            self.lines.append(line)


def cleaned(setting: str, text: str, repairs: Repairs) -> str:
    """Return `text` without full-width and invisible characters, quotes and blanks around it."""
    value = text.strip()
    if not value.isascii():
        plain = value.translate(_WIDE).translate(_INVISIBLE).strip()
        if plain != value:
            repairs.say(setting, "full-width or invisible characters replaced")
            value = plain
    value = unquoted(setting, value, repairs)
    # A whole line of an .env file pasted into the value's field of a web form.
    name = re.match(rf"(?:export\s+)?{re.escape(setting)}\s*=\s*", value)
    if name:
        repairs.say(setting, "its own name removed from the value")
        value = unquoted(setting, value[name.end() :], repairs)
    return value


def unquoted(setting: str, text: str, repairs: Repairs) -> str:
    """Return `text` without quotes around it, paired or not."""
    value = text.strip()
    bare = value.strip(_QUOTES).strip()
    if bare != value:
        repairs.say(setting, "quotes removed")
    return bare


def items(setting: str, text: str, repairs: Repairs) -> list[str]:
    """Return the parts of a list of keys or addresses, whatever separates them."""
    stripped = text.strip(",; \t\r\n")
    separators = re.findall(r"[,;\s]+", stripped)
    if any("," not in separator for separator in separators):
        repairs.say(setting, "list separated by commas now")
    parts = (unquoted(setting, part, repairs) for part in re.split(r"[,;\s]+", stripped))
    return [part for part in parts if part]


def without_header_words(setting: str, text: str, repairs: Repairs) -> str:
    """Return `text` without `Bearer` and header names pasted along with keys."""
    bare = _HEADER_WORDS.sub("", text)
    if bare != text:
        repairs.say(setting, "header words such as Bearer removed")
    return bare


def joined_addresses(setting: str, text: str, repairs: Repairs) -> str:
    """Return `text` without blanks inside addresses and with slashes the right way."""
    joined = text.replace("\\", "/")
    joined = re.sub(r"(?<=:)\s+(?=//)|(?<=://)\s+|\s+(?=/)", "", joined)
    if joined != text:
        repairs.say(setting, "blanks or backslashes inside an address removed")
    return joined
