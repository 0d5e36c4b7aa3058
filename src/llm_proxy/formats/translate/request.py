"""The door to request translation: a client's body in, an upstream's body out.

Pure and synchronous: 100 KB of conversation take about 1 ms, so large bodies belong in a thread.
"""

from llm_proxy.domain.knobs import Knobs

from .choice import settle_choice
from .context import Context, Translated
from .count import REQUIRED, tokens_in
from .fields import settle
from .literal import dump
from .passage import Passage, wrong
from .read_chat import read_chat
from .read_messages import read_messages
from .read_responses import read_responses
from .received import read_body, unusable
from .tools import settle_tools
from .turns import settle_turns
from .write_chat import write_chat
from .write_messages import write_messages
from .write_responses import write_responses

MOST_WARNING_BYTES = 1024
_MORE = ", ..."
_READERS = {"chat": read_chat, "messages": read_messages, "responses": read_responses}
_WRITERS = {"chat": write_chat, "messages": write_messages, "responses": write_responses}


def translate_request(
    body: bytes,
    *,
    client: str,
    upstream: str,
    model: str,
    knobs: Knobs,
    is_strict: bool,
    host_is_openai: bool = False,
) -> Translated:
    """Return a client's request in the upstream's format.

    Args:
        body: As the client sent it, decoded.
        client: The client's format: `chat`, `messages`, `responses`.
        upstream: The upstream's; another one.
        model: The name to send up.
        knobs: How the upstream wants it.
        is_strict: Whether whatever would be dropped is refused instead.
        host_is_openai: Whether the upstream is OpenAI itself, which knows all of its own fields.

    Raises:
        RequestError: 400. The body is no JSON object, something has the wrong type, or a field
            holds what the upstream's format cannot carry; `param` is the field.
    """
    assert client != upstream, "the same format travels as bytes"
    top = read_body(body)
    is_stream = top.get("stream")
    if is_stream not in (None, True, False):
        raise wrong("stream", "true or false")
    asked = top.get("model")
    context = Context(
        client=client,
        upstream=upstream,
        model=model,
        is_stream=bool(is_stream),
        think_tags=knobs.think_tags,
    )
    passage = Passage(
        context,
        knobs,
        asked_model=asked if isinstance(asked, str) else model,
        is_strict=is_strict,
        host_is_openai=host_is_openai,
    )
    try:
        if client in REQUIRED:
            context.input_tokens = tokens_in(client, top)
        same = settle(top, passage)
        conversation = _READERS[client](top, same, passage)
        settle_tools(conversation, passage)
        settle_choice(conversation, passage)
        settle_turns(conversation, passage)
        written = {"model": model, **_WRITERS[upstream](conversation, passage)}
        return Translated(dump(written), context)
    except RecursionError as error:
        raise unusable("it is nested too deeply") from error


def warnings_of(context: Context) -> str:
    """Return the value of `x-llm-proxy-warnings`; empty = nothing to say.

    Names of unknown fields come from the client: what is not plain ASCII is shown as `?`.
    """
    text = ""
    for note in context.notes:
        longer = f"{text}, {_plain(note)}" if text else _plain(note)
        if len(longer) > MOST_WARNING_BYTES - len(_MORE):
            return text + _MORE
        text = longer
    return text


def _plain(note: str) -> str:
    return "".join(sign if "!" <= sign <= "~" and sign != "," else "?" for sign in note)
