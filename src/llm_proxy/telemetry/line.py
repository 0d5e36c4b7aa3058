"""Turns a log record or a finished request into one line, with nothing secret and no trick in it.

A message may carry a client's words: line breaks that forge a second line, escape sequences that
repaint a terminal, a key pasted into a model's name. So every text is redacted first and then
made harmless, in both formats.
"""

import logging
import time
from typing import Any

import msgspec

from llm_proxy.domain.record import Attempt, Outcome, Record
from llm_proxy.domain.redact import Redactor

MAX_TEXT = 8_192
"""Characters of one text of a line; more is cut."""

_MARGIN = 512  # looked through for secrets and then cut too, as one may straddle the first cut

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "kind"}
_CONTROLS = {n: f"\\x{n:02x}" for n in [*range(32), *range(127, 160)]} | {
    10: "\\n",
    13: "\\r",
    9: " ",
    # Breaks of lines and paragraphs, and what turns the direction of all that follows.
    **{n: f"\\u{n:04x}" for n in (0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))},
}
_MAX_EXTRAS = 20


class Lines:
    """Makes lines in one format.

    Args:
        format_: `console` for eyes, `json` for machines.
        redactor: Blanks secrets in every text.
    """

    __slots__ = ("_redact", "_to_line")

    def __init__(self, format_: str, redactor: Redactor) -> None:
        self._redact = redactor.text
        self._to_line = _json if format_ == "json" else _console

    def of(self, entry: "Entry | Record") -> bytes:
        """Return the line of a call to `logging`, traceback included, or of a finished request."""
        fields = _fields_of_record(entry) if isinstance(entry, Record) else _fields_of_entry(entry)
        traceback = fields.pop("traceback", None)
        fields = {name: self._clean(value) for name, value in fields.items()}
        if traceback is not None:
            fields["traceback"] = self._clean_end(traceback)
        return (self._to_line(fields) + "\n").encode("utf-8", "backslashreplace")

    def _clean(self, value: object) -> object:
        match value:
            case None | bool() | int() | float():
                return value
            case list():
                return [self._clean(item) for item in value]
            case _:
                text = _bounded(str(value))
                cleaned = self._redact(text)
                if len(text) > MAX_TEXT:
                    cleaned = cleaned[:-_MARGIN] + "…"
                return cleaned.encode("utf-8", "backslashreplace").decode()

    def _clean_end(self, text: str) -> str:
        """As `_clean`, but what is too long loses its beginning: a traceback's end names the error.

        The cut comes after the look for secrets, as the second half of one would not be known.
        """
        return self._redact(text)[-MAX_TEXT:].encode("utf-8", "backslashreplace").decode()


class Entry(msgspec.Struct):
    """What is kept of a call to `logging` until its line is made: nothing that can still change."""

    at_s: float
    level: str
    logger: str
    message: str
    extras: dict[str, Any]
    traceback: str | None


def entry_of(record: logging.LogRecord) -> Entry:
    """Take down `record`; its arguments are formatted now, as they may change later."""
    return Entry(
        at_s=record.created,
        level=record.levelname.lower(),
        logger=record.name.removeprefix("llm_proxy."),
        message=_bounded(record.getMessage()),
        extras=_extras_of(record),
        traceback=_traceback_of(record),
    )


def note(message: str, level: int = logging.WARNING, **extras: Any) -> Entry:
    """Return a line of the sink's own."""
    values = {"name": "log", "levelname": logging.getLevelName(level), "msg": message}
    return entry_of(logging.makeLogRecord(values | extras))


def _bounded(text: str) -> str:
    return text[: MAX_TEXT + _MARGIN]


_format_exception = logging.Formatter().formatException


def _traceback_of(record: logging.LogRecord) -> str | None:
    if record.exc_info and record.exc_info[0] is not None:
        return _format_exception(record.exc_info)[-MAX_TEXT - _MARGIN :]
    return record.exc_text[-MAX_TEXT - _MARGIN :] if record.exc_text else None


def _extras_of(record: logging.LogRecord) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    for name, value in vars(record).items():
        if name not in _STANDARD and len(extras) < _MAX_EXTRAS:
            simple = value is None or isinstance(value, bool | int | float)
            extras[name] = value if simple else _bounded(str(value))
    return extras


def _fields_of_entry(entry: Entry) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "at": entry.at_s,
        "level": entry.level,
        "logger": entry.logger,
        "message": entry.message,
    }
    fields |= {name: value for name, value in entry.extras.items() if name not in fields}
    if entry.traceback:
        fields["traceback"] = entry.traceback
    return fields


def _fields_of_record(record: Record) -> dict[str, Any]:
    usage = record.usage
    fields = {
        "at": (record.at_ms + record.total_ms) / 1000,
        "level": "info" if record.outcome is Outcome.OK else "warning",
        "logger": "exchange",
        "message": f"{record.method} {record.path}",
        "status": record.status,
        "outcome": record.outcome.value,
        "model": record.model,
        "served": record.served if record.served != record.model else None,
        "upstream": record.upstream,
        "key": record.key,
        "caller": record.caller,
        "total_ms": round(record.total_ms, 1),
        "first_token_ms": record.first_token_ms and round(record.first_token_ms, 1),
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "attempts": len(record.attempts),
        "faults": [_words_of(attempt) for attempt in record.attempts if attempt.fault],
        "error": record.error,
        "notice": record.notice,
        "request_id": record.id,
    }
    return {name: value for name, value in fields.items() if value not in (None, [])}


def _words_of(attempt: Attempt) -> str:
    status = f" {attempt.status}" if attempt.status else ""
    return f"{attempt.fault}{status} at {attempt.upstream} {attempt.key}"


def _json(fields: dict[str, Any]) -> str:
    at_s = fields["at"]
    return msgspec.json.encode(fields | {"at": _stamp(at_s)}).decode()


def _console(fields: dict[str, Any]) -> str:
    traceback = fields.pop("traceback", None)
    at_s, level, logger, message = (
        fields.pop(name) for name in ("at", "level", "logger", "message")
    )
    rest = "".join(f" {name}={_word(value)}" for name, value in fields.items())
    line = f"{_stamp(at_s)} {level:<7} {logger}: {message}{rest}".translate(_CONTROLS)
    if traceback:
        line += "".join(f"\n    {row.translate(_CONTROLS)}" for row in traceback.split("\n"))
    return line


def _word(value: object) -> str:
    is_list = isinstance(value, list)
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if not is_list and text and not any(mark in text for mark in ' "='):
        return text
    # A client's words must not end their quotes and go on as fields of ours.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _stamp(at_s: float) -> str:
    whole, millis = divmod(int(at_s * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{millis:03d}Z"
