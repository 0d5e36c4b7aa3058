"""What commits a stream and what is held: the three tables of the formats, row by row."""

import pytest

from llm_proxy.formats import format_named
from llm_proxy.formats.format import BROKEN, CONTENT, END, ERROR, FINISH, PREAMBLE, Kind
from llm_proxy.policy.classify import classify

from .build import block, chunk, data, delta, named

COMMENT = b": OPENROUTER PROCESSING\n\n"

CHAT = {
    "comment": (COMMENT, PREAMBLE),
    "blank_lines": (b"\n\n", PREAMBLE),
    "retry_field": (b"retry: 3000\n\n", PREAMBLE),
    "no_choices": (data({"id": "x"}), PREAMBLE),
    "empty_choices": (data({"choices": []}), PREAMBLE),
    "null_choices": (data({"choices": None}), PREAMBLE),
    "azure_filter_results": (data({"choices": [], "prompt_filter_results": [{}]}), PREAMBLE),
    "bare_usage": (data({"choices": [], "usage": {"prompt_tokens": 1}}), PREAMBLE),
    "groq_id": (chunk({"role": "assistant", "content": ""}, x_groq={"id": "r"}), PREAMBLE),
    "role": (chunk({"role": "assistant"}), PREAMBLE),
    "role_and_empty_content": (chunk({"role": "assistant", "content": ""}), PREAMBLE),
    "null_content": (chunk({"content": None, "refusal": None}), PREAMBLE),
    "empty_reasoning": (chunk({"reasoning_content": "", "reasoning": None}), PREAMBLE),
    "empty_tool_calls": (chunk({"tool_calls": []}), PREAMBLE),
    "obfuscation": (chunk({"content": "", "obfuscation": "aBc"}), PREAMBLE),
    "nameless_call": (chunk({"tool_calls": [{"index": 0, "function": {"name": ""}}]}), PREAMBLE),
    "empty_delta": (chunk({}), PREAMBLE),
    "empty_finish_reason": (chunk({}, ""), PREAMBLE),
    "content": (chunk({"content": "a"}), CONTENT),
    "blank_content": (chunk({"content": " "}), CONTENT),
    "content_parts": (chunk({"content": [{"type": "text", "text": "a"}]}), CONTENT),
    "refusal": (chunk({"refusal": "no"}), CONTENT),
    "reasoning": (chunk({"reasoning": "hm"}), CONTENT),
    "reasoning_content": (chunk({"reasoning_content": "hm"}), CONTENT),
    "reasoning_details": (chunk({"reasoning_details": [{"text": "hm"}]}), CONTENT),
    "audio": (chunk({"audio": {"id": "a"}}), CONTENT),
    "call_with_name": (chunk({"tool_calls": [{"function": {"name": "f"}}]}), CONTENT),
    "call_with_arguments": (chunk({"tool_calls": [{"function": {"arguments": "{"}}]}), CONTENT),
    "custom_call": (chunk({"tool_calls": [{"custom": {"name": "f"}}]}), CONTENT),
    "function_call": (chunk({"function_call": {"name": "f"}}), CONTENT),
    "whole_message": (data({"choices": [{"message": {"content": "a"}}]}), CONTENT),
    "legacy_text": (data({"choices": [{"text": "a"}]}), CONTENT),
    "two_lines_of_data": (b'data: {"choices":\ndata: [{"text":"a"}]}\n\n', CONTENT),
    "crlf_no_blank": (b'data:{"choices":[{"text":"a"}]}\r\n\r\n', CONTENT),
    "half_surrogate": (b'data: {"choices":[{"text":"\\ud83d"}]}\n\n', CONTENT),
    "invalid_utf8": (b'data: {"choices":[{"text":"\xff"}]}\n\n', CONTENT),
    "number_out_of_range": (b'data: {"choices":[{"text":"a"}],"n":1e999}\n\n', CONTENT),
    "finish": (chunk({}, "stop"), FINISH),
    "finish_with_content": (chunk({"content": "a"}, "length"), FINISH),
    "unknown_finish": (chunk({}, "whatever"), FINISH),
    "done": (b"data: [DONE]\n\n", END),
    "done_no_blank": (b"data:[DONE]\n\n", END),
    "done_and_blank": (b"data: [DONE] \n\n", END),
    "bare_done": (b"[DONE]\n\n", END),
    "error": (data({"error": {"message": "x", "type": "server_error"}}), ERROR),
    "error_text": (data({"error": "x"}), ERROR),
    "error_named": (b'event: error\ndata: {"error":{"message":"x"}}\n\n', ERROR),
    "error_named_flat": (b'event: error\ndata: {"message":"x"}\n\n', ERROR),
    "error_named_plain": (b"event: error\ndata: upstream is on fire\n\n", ERROR),
    "error_list": (data([{"error": {"code": 429, "message": "x"}}]), ERROR),
    "error_mistral": (data({"object": "error", "message": "x"}), ERROR),
    "error_minimax": (data({"base_resp": {"status_code": 1002, "status_msg": "x"}}), ERROR),
    "error_dashscope": (data({"code": "Throttling", "message": "x"}), ERROR),
    "error_and_choices": (
        data({"error": {"code": 502, "message": "x"}, "choices": [{"finish_reason": "error"}]}),
        ERROR,
    ),
    "failed_reason": (chunk({}, "network_error"), ERROR),
    "bare_json_error": (b'{"error":{"message":"x"}}\n\n', ERROR),
    "bare_json_answer": (b'{"choices":[{"message":{"content":"a"}}]}\n\n', CONTENT),
    "broken": (b'data: {"choices":\n\n', BROKEN),
    "broken_but_braces_match": (b"data: {not json}\n\n", BROKEN),
    "empty_data": (b"data:\n\n", BROKEN),
    "text": (b"data: hello\n\n", BROKEN),
}

MESSAGES = {
    "comment": (COMMENT, PREAMBLE),
    "ping": (named("ping"), PREAMBLE),
    "message_start": (named("message_start", message={"model": "m", "content": []}), PREAMBLE),
    "empty_text_block": (block(type="text", text=""), PREAMBLE),
    "empty_thinking_block": (block(type="thinking", thinking="", signature=""), PREAMBLE),
    "empty_text_delta": (delta(type="text_delta", text=""), PREAMBLE),
    "end_of_a_block": (named("content_block_stop", index=0), PREAMBLE),
    "done_of_another_format": (b"data: [DONE]\n\n", PREAMBLE),
    "text": (delta(type="text_delta", text="a"), CONTENT),
    "text_without_event_line": (
        data({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
        CONTENT,
    ),
    "type_only_in_the_event_line": (
        b'event: content_block_delta\ndata: {"delta":{"type":"text_delta","text":"a"}}\n\n',
        CONTENT,
    ),
    "thinking": (delta(type="thinking_delta", thinking="a"), CONTENT),
    "signature": (delta(type="signature_delta", signature="a"), CONTENT),
    "arguments": (delta(type="input_json_delta", partial_json="{"), CONTENT),
    "citation": (delta(type="citations_delta", citation={"url": "x"}), CONTENT),
    "filled_text_block": (block(type="text", text="a"), CONTENT),
    "tool_use": (block(type="tool_use", id="t", name="f", input={}), CONTENT),
    "server_tool_use": (block(type="server_tool_use", id="t"), CONTENT),
    "redacted_thinking": (block(type="redacted_thinking", data="x"), CONTENT),
    "unknown_block": (block(type="hologram"), CONTENT),
    "message_delta_without_reason": (named("message_delta", delta={}), CONTENT),
    "filled_message_start": (
        named("message_start", message={"content": [{"type": "text", "text": "a"}]}),
        CONTENT,
    ),
    "message_delta": (named("message_delta", delta={"stop_reason": "end_turn"}), FINISH),
    "message_stop": (named("message_stop"), END),
    "error": (named("error", error={"type": "overloaded_error", "message": "x"}), ERROR),
    "error_in_another_shape": (data({"error": {"message": "x"}}), ERROR),
    "error_plain": (b"event: error\ndata: gone\n\n", ERROR),
    "broken": (b'event: content_block_delta\ndata: {"type":\n\n', BROKEN),
}

RESPONSES = {
    "comment": (COMMENT, PREAMBLE),
    "created": (named("response.created", response={"model": "m"}), PREAMBLE),
    "queued": (named("response.queued", response={}), PREAMBLE),
    "in_progress": (named("response.in_progress", response={}), PREAMBLE),
    "keepalive": (named("keepalive", sequence_number=3), PREAMBLE),
    "empty_message": (
        named("response.output_item.added", item={"type": "message", "content": []}),
        PREAMBLE,
    ),
    "reasoning_item": (
        named("response.output_item.added", item={"type": "reasoning", "summary": []}),
        PREAMBLE,
    ),
    "empty_part": (
        named("response.content_part.added", part={"type": "output_text", "text": ""}),
        PREAMBLE,
    ),
    "summary_part": (
        named("response.reasoning_summary_part.added", part={"type": "summary_text", "text": ""}),
        PREAMBLE,
    ),
    "empty_delta": (named("response.output_text.delta", delta=""), PREAMBLE),
    "done_of_another_format": (b"data: [DONE]\n\n", PREAMBLE),
    "text": (named("response.output_text.delta", delta="a"), CONTENT),
    "text_without_event_line": (data({"type": "response.refusal.delta", "delta": "a"}), CONTENT),
    "arguments": (named("response.function_call_arguments.delta", delta="{"), CONTENT),
    "half_surrogate": (
        b'data: {"type":"response.output_text.delta","delta":"\\ud83d"}\n\n',
        CONTENT,
    ),
    "call": (
        named("response.output_item.added", item={"type": "function_call", "name": "f"}),
        CONTENT,
    ),
    "filled_message": (
        named("response.output_item.added", item={"type": "message", "content": [{}]}),
        CONTENT,
    ),
    "filled_part": (
        named("response.content_part.added", part={"type": "output_text", "text": "a"}),
        CONTENT,
    ),
    "text_done": (named("response.output_text.done", text="a"), CONTENT),
    "item_done": (named("response.output_item.done", item={"type": "message"}), CONTENT),
    "unknown": (named("response.hologram"), CONTENT),
    "completed": (named("response.completed", response={"output": []}), END),
    "incomplete": (named("response.incomplete", response={"output": []}), END),
    "failed": (
        named("response.failed", response={"error": {"code": "server_error", "message": "x"}}),
        ERROR,
    ),
    "failed_without_words": (named("response.failed", response={"error": None}), ERROR),
    "error_flat": (named("error", code="rate_limit_exceeded", message="x", param=None), ERROR),
    "error_nested": (named("error", error={"type": "server_error", "message": "x"}), ERROR),
    "error_in_another_shape": (data({"error": {"message": "x"}}), ERROR),
    "error_list": (data([{"error": {"message": "x"}}]), ERROR),
    "broken": (b"event: response.output_text.delta\ndata: {\n\n", BROKEN),
}

ROWS = [
    pytest.param(name, event, kind, id=f"{name}-{row}")
    for name, table in (("chat", CHAT), ("messages", MESSAGES), ("responses", RESPONSES))
    for row, (event, kind) in table.items()
]


@pytest.mark.parametrize(("name", "event", "kind"), ROWS)
def test_an_event_is_what_its_row_says(name: str, event: bytes, kind: Kind) -> None:
    watch = format_named(name).watch()
    assert watch.read(event) is kind
    assert watch.has_content is (kind is CONTENT or b'"a"' in event)
    assert watch.is_ended is (kind is END)
    assert (watch.signal is not None) is (kind is ERROR)
    if watch.signal is not None:
        assert watch.signal.message
        assert classify(watch.signal)


@pytest.mark.parametrize(("name", "event", "kind"), ROWS)
def test_an_event_means_the_same_behind_content_and_to_other_endpoints(
    name: str, event: bytes, kind: Kind
) -> None:
    if name == "chat":
        assert format_named("other").watch().read(event) is kind
    watch = format_named(name).watch()
    watch.has_content = True
    seen = watch.read(event)
    if kind in (PREAMBLE, CONTENT):
        assert seen in (PREAMBLE, CONTENT)
    elif kind is ERROR and b"network_error" in event:
        assert seen is FINISH  # too late to go elsewhere: the client reads the reason itself
    else:
        assert seen is kind


@pytest.mark.parametrize(("name", "event", "kind"), ROWS)
def test_a_plain_event_has_nothing_that_must_be_seen(name: str, event: bytes, kind: Kind) -> None:
    if format_named(name).is_plain(event):
        assert kind in (PREAMBLE, CONTENT)


def test_a_finish_reason_is_remembered_and_done_ends() -> None:
    watch = format_named("chat").watch()
    for event in (chunk({"content": "a"}, model="m"), chunk({}, "stop"), b"data: [DONE]\n\n"):
        watch.read(event)
    assert (watch.model, watch.is_finished, watch.is_ended) == ("m", True, True)


def test_a_completed_response_is_finished_even_without_content() -> None:
    watch = format_named("responses").watch()
    watch.read(named("response.completed", response={"output": [], "model": "m"}))
    assert (watch.model, watch.has_content, watch.is_finished) == ("m", False, True)
