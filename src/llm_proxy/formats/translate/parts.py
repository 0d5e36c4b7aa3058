"""Reads what messages hold besides calls and reasoning: text, pictures, documents.

Nothing is fetched and nothing is looked into: a picture is an address or a `data:` URL, and what is
neither, or lies as a file at another provider, is refused.
"""

from typing import Any

from .conversation import Document, Image, Part, Text
from .passage import Passage, wrong

_CHAT_PART = frozenset(
    ("type", "text", "refusal", "image_url", "file", "cache_control", "prompt_cache_breakpoint")
)
_RESPONSES_PART = frozenset(
    (
        "type",
        "text",
        "refusal",
        "image_url",
        "detail",
        "file_data",
        "file_url",
        "filename",
        "file_id",
        "annotations",
        "logprobs",
        "prompt_cache_breakpoint",
    )
)
_MESSAGES_PART = frozenset(
    ("type", "text", "source", "title", "context", "content", "tool_name", "cache_control")
)
_ADDRESS = ("http://", "https://")


def read_chat_parts(value: Any, path: str, passage: Passage) -> list[Part]:
    """Read the `content` of a chat message: a string or a list of parts."""
    if isinstance(value, str):
        return [Text(value)]
    return [_chat_part(at, entry, passage) for at, entry in passage.objects(value, path)]


def _chat_part(path: str, entry: dict[str, Any], passage: Passage) -> Part:
    passage.rest(entry, _CHAT_PART, "messages.content")
    kind = entry.get("type")
    part: Part
    if kind == "text":
        part = Text(passage.text(entry.get("text"), f"{path}.text"))
    elif kind == "refusal":
        part = Text(passage.text(entry.get("refusal"), f"{path}.refusal"))
    elif kind == "image_url":
        inner = entry.get("image_url")
        if isinstance(inner, str):
            inner = {"url": inner}
        inner = passage.object(inner, f"{path}.image_url")
        at = f"{path}.image_url"
        part = _image(inner.get("url"), at, passage, at, inner.get("detail"))
    elif kind == "file":
        inner = passage.object(entry.get("file"), f"{path}.file")
        if inner.get("file_data") is None:
            raise passage.refusal(f"{path}.file.file_id", "(a file kept by another provider)")
        part = Document(
            passage.text(inner.get("file_data"), f"{path}.file.file_data"),
            _title(inner.get("filename"), f"{path}.file.filename", passage),
            path,
        )
    else:
        raise passage.refusal(path, _kind_words("part", kind))
    part.cache = entry.get("cache_control")
    part.mark = entry.get("prompt_cache_breakpoint")
    return part


def read_responses_parts(value: Any, path: str, passage: Passage) -> list[Part]:
    """Read the `content` of a Responses message, or the `output` of a call."""
    if isinstance(value, str):
        return [Text(value)]
    return [_responses_part(at, entry, passage) for at, entry in passage.objects(value, path)]


def _responses_part(path: str, entry: dict[str, Any], passage: Passage) -> Part:
    passage.rest(entry, _RESPONSES_PART, "input.content")
    kind = entry.get("type")
    part: Part
    if kind in ("input_text", "output_text", "text"):
        part = Text(passage.text(entry.get("text"), f"{path}.text"))
    elif kind == "refusal":
        part = Text(passage.text(entry.get("refusal"), f"{path}.refusal"))
    elif kind == "input_image":
        if entry.get("image_url") is None:
            raise passage.refusal(f"{path}.file_id", "(a file kept by another provider)")
        at = f"{path}.image_url"
        part = _image(entry.get("image_url"), at, passage, path, entry.get("detail"))
    elif kind == "input_file":
        url = entry.get("file_data") if entry.get("file_url") is None else entry.get("file_url")
        if url is None:
            raise passage.refusal(f"{path}.file_id", "(a file kept by another provider)")
        if entry.get("detail") not in (None, "auto"):
            passage.ignore(f"{path}.detail")
        title = _title(entry.get("filename"), f"{path}.filename", passage)
        part = Document(passage.text(url, f"{path}.file_data"), title, path)
    else:
        raise passage.refusal(path, _kind_words("part", kind))
    part.mark = entry.get("prompt_cache_breakpoint")
    return part


def read_messages_parts(value: Any, path: str, passage: Passage) -> list[Part]:
    """Read the `content` of a Messages tool result or document: a string or a list of blocks."""
    if isinstance(value, str):
        return [Text(value)]
    found: list[Part] = []
    for at, entry in passage.objects(value, path):
        found.extend(messages_part(at, entry, passage))
    return found


def messages_part(path: str, entry: dict[str, Any], passage: Passage) -> list[Part]:
    """Read one block that is neither a call, a result nor reasoning.

    Raises:
        RequestError: It is of a kind that no other format has.
    """
    kind = entry.get("type")
    _note_block(entry, kind, passage)
    if kind == "text":
        return [Text(passage.text(entry.get("text"), f"{path}.text"))]
    if kind == "image":
        return [_messages_image(path, entry, passage)]
    if kind == "document":
        return _messages_document(path, entry, passage)
    if kind == "search_result":
        inner = read_messages_parts(entry.get("content"), f"{path}.content", passage)
        text = "".join(part.text for part in inner if isinstance(part, Text))
        title = passage.text(entry.get("title"), f"{path}.title")
        source = passage.text(entry.get("source"), f"{path}.source")
        return [Text(f"{title}\n{source}\n\n{text}")]
    if kind == "tool_reference":
        name = passage.text(entry.get("tool_name"), f"{path}.tool_name")
        return [Text(f"Tool available: {name}")]
    raise passage.refusal(path, _kind_words("block", kind))


def _note_block(entry: dict[str, Any], kind: Any, passage: Passage) -> None:
    if entry.keys() <= {"type", "text"}:
        return
    if entry.get("cache_control") is not None:
        passage.ignore("cache_control")
    citations = entry.get("citations")
    if kind == "text" or (isinstance(citations, dict) and citations.get("enabled") is not True):
        citations = None  # an earlier answer's sources; or none are asked for
    if citations:
        passage.drop("messages.citations")
    passage.rest(entry, _MESSAGES_PART | {"citations"}, "messages.content")


def _messages_image(path: str, entry: dict[str, Any], passage: Passage) -> Image:
    source = passage.object(entry.get("source"), f"{path}.source")
    kind = source.get("type")
    if kind == "base64":
        return Image(_data_url(source, f"{path}.source", passage), path=path)
    if kind == "url":
        return _image(source.get("url"), f"{path}.source.url", passage, path)
    raise passage.refusal(f"{path}.source", _kind_words("source", kind))


def _messages_document(path: str, entry: dict[str, Any], passage: Passage) -> list[Part]:
    """Read a document; one of text becomes the text, one of blocks its blocks."""
    source = passage.object(entry.get("source"), f"{path}.source")
    kind = source.get("type")
    title = _title(entry.get("title"), f"{path}.title", passage)
    if kind == "text":
        context = _title(entry.get("context"), f"{path}.context", passage)
        text = passage.text(source.get("data"), f"{path}.source.data")
        above = "\n".join(word for word in (title, context) if word)
        return [Text(f"{above}\n\n{text}" if above else text)]
    if kind == "content":
        return read_messages_parts(source.get("content"), f"{path}.source.content", passage)
    if kind == "base64":
        return [Document(_data_url(source, f"{path}.source", passage), title, path)]
    if kind == "url":
        url = passage.text(source.get("url"), f"{path}.source.url")
        return [Document(url, title, path)]
    raise passage.refusal(f"{path}.source", _kind_words("source", kind))


def _data_url(source: dict[str, Any], path: str, passage: Passage) -> str:
    media_type = passage.text(source.get("media_type"), f"{path}.media_type")
    return f"data:{media_type};base64,{passage.text(source.get('data'), f'{path}.data')}"


def _image(url: Any, path: str, passage: Passage, owner: str, detail: Any = None) -> Image:
    """Return the picture at `url`, which stands at `path`; `owner` is what has the detail."""
    if not isinstance(url, str):
        raise wrong(path, "an address")
    if url[:8].lower().startswith((*_ADDRESS, "data:")):
        return Image(url, detail if isinstance(detail, str) else "", owner)
    raise passage.refusal(path, "that is neither an http address nor a data URL")


def _title(value: Any, path: str, passage: Passage) -> str:
    return "" if value is None else passage.text(value, path)


def is_address(url: str) -> bool:
    """Return whether something lies at an http(s) address."""
    return url[:8].lower().startswith(_ADDRESS)


def split_data_url(url: str) -> tuple[str, str] | None:
    """Return media type and base64 text of a `data:` URL; None = it is no such URL."""
    head, comma, data = url.partition(",")
    if not comma or head[:5].lower() != "data:" or not head.lower().endswith(";base64"):
        return None
    media_type = head[5:].split(";", 1)[0].strip().lower()
    return ("image/jpeg" if media_type == "image/jpg" else media_type), data


def _kind_words(noun: str, kind: Any) -> str:
    return f"({noun} of type '{kind}')" if isinstance(kind, str) else f"({noun} without a type)"
