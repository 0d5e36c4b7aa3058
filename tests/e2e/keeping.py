"""A provider that keeps what it made: each key sees its own things only, as at a real one."""

import json
import threading
from collections.abc import Sequence
from typing import Any

from tests.support.answers import (
    Dialect,
    chat_json,
    chat_stream,
    error,
    messages_json,
    messages_stream,
    models_json,
    responses_json,
    responses_stream,
    to_json,
)
from tests.support.provider import ProviderThread, Request
from tests.support.scripts import Script, respond

KEYS = ("sk-upstream-one-0123456789", "sk-upstream-two-0123456789", "sk-upstream-three-0123456789")


class Keeping:
    """What several keys keep.

    Attributes:
        provider: Where it answers.
        made: Id → the key under which it was made.
    """

    def __init__(self, provider: ProviderThread) -> None:
        self.provider = provider
        self.made: dict[str, str] = {}
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Answer properly again; what was made stays."""
        self.provider.forget()
        self.provider.requests.clear()
        self.provider.reply(self.answer)
        self.provider.reply(models_json(), path="/v1/models")

    def keys_asked(self) -> list[str]:
        """Return the keys of all requests but those for the list of models."""
        return [str(one.key) for one in self.provider.requests if one.path != "/v1/models"]

    def answer(self, request: Request) -> Script:
        """Answer one request."""
        kind = request.path.split("/")[2]
        named = _named(request)
        if any(self.made.get(one) != request.key for one in named):
            dialect: Dialect = "messages" if kind == "messages" else "responses"
            status = 400 if kind == "responses" and request.method == "POST" else 404
            code = "previous_response_not_found" if status == 400 else None
            return error(status, dialect, code=code, message="No such thing.")
        if request.path == "/v1/messages":
            script = messages_stream() if request.stream else messages_json()
            return self._make("msg_test", request, script)
        if request.path == "/v1/responses":
            script = responses_stream() if request.stream else responses_json()
            return self._make("resp_test", request, script)
        if request.path == "/v1/chat/completions":
            script = chat_stream() if request.stream else chat_json()
            return self._make("chatcmpl-test", request, script)
        if named:
            return respond(to_json(self._told(request, named[0])))
        id_ = f"{kind}_test"
        return self._make(id_, request, respond(to_json({"id": id_})))

    def _make(self, old: str, request: Request, script: Script) -> Script:
        """Give an answer an id of its own, of the placeholder's length as lengths are sent."""
        stem, sign, _ = old.rpartition(old[-5])
        with self._lock:
            new = f"{stem}{sign}{len(self.made):04d}"
            self.made[new] = str(request.key)
        return [
            piece.replace(old.encode(), new.encode()) if isinstance(piece, bytes) else piece
            for piece in script
        ]

    def _told(self, request: Request, id_: str) -> dict[str, Any]:
        told: dict[str, Any] = {"id": id_, "path": request.path}
        if request.path.startswith("/v1/batches/"):
            told["output_file_id"] = f"file-of-{id_}"
            self.made[f"file-of-{id_}"] = str(request.key)
        return told


def _named(request: Request) -> Sequence[str]:
    parts = request.path.split("/")
    if len(parts) > 3 and parts[2] not in ("chat", "messages"):
        return parts[3:4]
    if len(parts) > 4:
        return parts[4:5]
    fields = request.fields
    thread = fields.get("thread") or {}
    names = [
        fields.get("previous_response_id"),
        fields.get("input_file_id"),
        thread.get("previous_message_id"),
    ]
    text = json.dumps(fields.get("messages", ""))
    names += [part.split('"')[1] for part in text.split('"file_id":')[1:]]
    return [name for name in names if name]
