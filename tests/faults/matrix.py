"""The fault matrix: every situation, what must come of it, and the tests that prove it.

`make faults` runs these tests against the real process and prints a line for each row;
docs/faults-matrix.md is written from the rows. Every test in this folder belongs to a row, so a
new one needs a place here; tests of other folders are named where they prove a row.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class Ending(Enum):
    """What the client may meet."""

    RESCUED = "rescued"
    HONEST = "honest error"
    REFUSED = "refused"
    UNHARMED = "goes on"


RESCUED, HONEST, REFUSED, UNHARMED = Ending

MEANING = {
    RESCUED: "the client gets its whole answer from another key or provider; where none is left, an honest error",
    HONEST: "the client is told the truth in its own format, and nothing that failed looks like success",
    REFUSED: "a client that breaks the rules is turned away and costs nobody else anything",
    UNHARMED: "traffic goes on as if nothing had happened",
}


class Row(NamedTuple):
    """A situation.

    Attributes:
        situation: What goes wrong, in the words of somebody who runs the proxy.
        ending: What the client may meet.
        promise: What exactly must come of it.
        tests: `file::beginning of a test's name` (without `test_`) → its cases, separated by
            blanks; all of them where nothing is named.
    """

    situation: str
    ending: Ending
    promise: str
    tests: Mapping[str, str]


def _answers(cases: str) -> dict[str, str]:
    """Return the tests of a broken answer: with a healthy upstream behind it, and without."""
    return {
        "faults/test_answers.py::a_failure_of_one_upstream": cases,
        "faults/test_answers.py::a_failure_that_persists": cases,
    }


def _starts(cases: str) -> dict[str, str]:
    """Return the tests of a stream that fails before its content."""
    return {
        "faults/test_stream_start.py::a_stream_that_fails_before": cases,
        "faults/test_stream_start.py::a_stream_that_never_gets": cases,
    }


def _keys(cases: str) -> dict[str, str]:
    """Return the tests of a key that does not work."""
    return {
        "faults/test_keys.py::a_key_that_does_not_work": cases,
        "faults/test_keys.py::a_client_is_not_asked_for": cases,
    }


REACHING = (
    Row("connection refused", RESCUED, "next upstream within milliseconds; alone: 502",
        {"faults/test_connect.py::an_upstream_that_cannot": "refused",
         "faults/test_connect.py::a_client_is_told": "refused",
         "faults/test_attempts.py::a_request_with_side_effects_moves_on_from": ""}),
    Row("black hole: no answer to the connection attempt", RESCUED,
        "costs CONNECT_TIMEOUT_S once; then only connections beside requests look whether it is back",
        {"faults/test_connect.py::an_upstream_that_cannot": "black_hole",
         "faults/test_connect.py::a_client_is_told": "black_hole",
         "faults/test_connect.py::a_black_hole": "",
         "faults/test_connect.py::nobody_waits_for_a_black_hole": ""}),
    Row("host name without an address", RESCUED, "next upstream; alone: 502",
        {"faults/test_connect.py::an_upstream_that_cannot": "name_without_address",
         "faults/test_connect.py::a_client_is_told": "name_without_address"}),
    Row("TLS certificate of somebody else", RESCUED, "next upstream; nothing is sent to it",
        {"faults/test_connect.py::an_upstream_that_cannot": "certificate_of_nobody",
         "faults/test_connect.py::a_client_is_told": "certificate_of_nobody"}),
    Row("connection accepted and closed or reset", RESCUED, "next upstream; nobody waits",
        {"faults/test_answers.py::an_upstream_that_hangs_up": "",
         "faults/test_answers.py::an_upstream_that_accepts_and_closes": "",
         **_answers("reset_at_once closed_at_once")}),
    Row("connection died while it was idle", RESCUED,
        "replayed on a fresh one; does not use up a retry; never for requests that may have acted",
        {"faults/test_attempts.py::a_connection_that_died": "",
         "faults/test_attempts.py::the_replay_on_a_fresh": "",
         "faults/test_attempts.py::a_request_with_side_effects_never": ""}),
    Row("an upstream comes back", RESCUED, "in use again at once, found out by few requests",
        {"faults/test_connect.py::an_upstream_that_comes_back": "",
         "storms/test_recovery.py::one_request_at_a_time": "",
         "storms/test_recovery.py::an_upstream_whose_port": ""}),
    Row("one of two upstreams is broken under load", RESCUED, "no client notices",
        {"storms/test_outage.py::nobody_notices": ""}),
    Row("everything is down under load", HONEST,
        "everybody is told quickly; the outage is hardly multiplied",
        {"storms/test_outage.py::an_outage_of_everything": "",
         "storms/test_recovery.py::an_upstream_that_stays_broken": ""}),
)  # fmt: skip

ANSWERS = (
    Row("no HTTP, half a head, contradictory lengths", RESCUED, "next upstream; alone: 502",
        _answers("no_http half_a_head two_lengths length_and_chunks unknown_transfer_coding "
                 "switches_protocols head_cut_after_the_status")),
    Row("giant head, 1,001 header fields", RESCUED, "next upstream; alone: 502",
        _answers("giant_head 1001_fields")),
    Row("body cut: reset, close, missing chunk, bad chunk, short of its length", RESCUED,
        "next upstream; never a short answer with 200",
        {**_answers("body_reset body_closed last_chunk_missing bad_chunk chunk_longer_than_said "
                    "length_too_long 500_cut"),
         "faults/test_answers.py::gzipped_json_that_is_cut": ""}),
    Row("200 that is empty, HTML, text, half a JSON, without content", RESCUED,
        "next upstream; alone: 502",
        _answers("empty blank html text half_json no_choices")),
    Row("200 whose body is an error", RESCUED, "treated as the status its type stands for",
        {**_answers("200_overloaded 200_typed_error 200_error_string 200_error_list "
                    "200_numeric_code 200_flat 200_vllm"),
         "faults/test_refusals.py::a_refusal_inside_a_200": ""}),
    Row("500, 502, 503, 504, 520, 529, 408, 425", RESCUED,
        "next upstream; alone: the same status in the client's format",
        _answers("500 500_html 502_empty 503 504 520_of_a_cdn 529 408 425")),
    Row("redirect", HONEST, "never followed, so neither key nor prompt leaves; 502",
        {"faults/test_answers.py::a_redirect": ""}),
    Row("bytes behind the end of an answer", UNHARMED,
        "they never reach anybody; the connection is not used again",
        {"faults/test_attempts.py::bytes_behind": "", "faults/test_attempts.py::late_surplus": "",
         "faults/test_attempts.py::a_length_shorter": "",
         "faults/test_attempts.py::surplus_bytes": "",
         "faults/test_attempts.py::a_second_answer": "",
         "faults/test_attempts.py::healthy_connections": ""}),
    Row("folded headers, headers of a failed attempt", UNHARMED, "never a new header for the client",
        {"faults/test_answers.py::a_folded_or_split": "",
         "faults/test_answers.py::a_fault_of_the_first": ""}),
    Row("odd but whole: HTTP/1.0, early hints, trailers, gzip, invalid UTF-8", UNHARMED,
        "comes down as it is",
        {"faults/test_answers.py::odd_but_whole": "",
         "faults/test_answers.py::an_invalid_utf8": "",
         "faults/test_answers.py::gzipped_json_comes_down": "",
         "faults/test_answers.py::an_upstream_without_a_key": "",
         "faults/test_stream_start.py::a_gzipped_stream_comes": "",
         "faults/test_stream_start.py::a_json_answer_to": ""}),
)  # fmt: skip

STREAMS = (
    Row("stream fails before its content: error event, nothing, only comments or a preamble",
        RESCUED, "next upstream, unseen; alone: a status, not a 200",
        {**_starts("overloaded_first overloaded_behind_the_preamble server_error_first "
                   "server_error_behind_the_preamble no_events only_comments only_done "
                   "preamble_and_done preamble_only preamble_then_closed preamble_then_reset "
                   "half_the_first_content bad_chunk nonsense_event_only closed_at_once "
                   "json_error_in_200 html empty_json 500 500_as_event 529"),
         "faults/test_stream_start.py::a_preamble_is_not": "",
         "faults/test_stream_start.py::an_answer_can_follow": "",
         "faults/test_stream_start.py::content_that_nobody": ""}),
    Row("rate limit or refused key told inside a stream", RESCUED, "as if it had been a status",
        {**_starts("limited_first limited_behind_the_preamble key_refused_in_the_stream"),
         "faults/test_limits.py::a_limit_told_inside": "",
         "faults/test_stream_cut.py::a_limit_reported_behind": ""}),
    Row("stream breaks after content: reset, close, half an event, bad chunk", HONEST,
        "the text so far, then an error event of the format; never an invented end",
        {"faults/test_stream_cut.py::a_client_gets": "",
         "faults/test_stream_cut.py::an_upstreams_own_error": "",
         "faults/test_stream_start.py::a_gzipped_stream_that_is_cut": "",
         "faults/test_stream_cut.py::a_last_event_without_its_blank_line_is": ""}),
    Row("the same with STREAM_RESCUE on", RESCUED,
        "the text goes on elsewhere where that can be done without lying",
        {"faults/test_rescue.py::": ""}),
    Row("stream without its last event", HONEST,
        "whole only if the format's own rule says so; else an error event",
        {"faults/test_stream_cut.py::a_chat_stream_without_done": "",
         "faults/test_stream_cut.py::a_messages_stream_without": "",
         "faults/test_stream_cut.py::a_responses_stream_without": "",
         "faults/test_stream_cut.py::an_incomplete_but_proper": "",
         "faults/test_stream_cut.py::a_last_event_without_its_blank_line_comes": "",
         "faults/test_stream_cut.py::half_an_event_behind": ""}),
    Row("stream falls silent", HONEST, "an error event at the limit; a slow stream is never cut",
        {"faults/test_stream_cut.py::a_stream_that_falls_silent": "",
         "faults/test_stream_cut.py::a_slow_but_living": ""}),
    Row("one unreadable event in a stream", UNHARMED, "dropped and counted; the stream goes on",
        {"faults/test_stream_cut.py::one_broken_event": ""}),
)  # fmt: skip

TIME = (
    Row("upstream accepts and stays silent", RESCUED,
        "next upstream at UPSTREAM_TIMEOUT_S; silence everywhere: 504, each asked once",
        {"faults/test_time.py::a_silent_upstream": "", "faults/test_time.py::silence": "",
         "faults/test_time.py::an_upstream_that_accepts_and_never": "",
         "faults/test_time.py::a_slow_first_byte": "",
         "faults/test_time.py::a_json_answer_has_no": ""}),
    Row("first token comes too late", RESCUED,
        "next upstream at FIRST_TOKEN_TIMEOUT_S; waited for where nobody else is left",
        {"faults/test_time.py::a_late_first_token": "", "faults/test_time.py::pings": "",
         "faults/test_time.py::a_held_stream": ""}),
    Row("the client's own deadline, REQUEST_TIMEOUT_S", HONEST,
        "kept over all attempts; a stream that flows goes on",
        {"faults/test_time.py::the_clients_deadline": "",
         "faults/test_time.py::a_wait_that_would": "",
         "faults/test_time.py::the_deadline_covers": "",
         "faults/test_time.py::request_timeout": "",
         "faults/test_time.py::a_deadline_that_is_none": ""}),
)  # fmt: skip

KEYS = (
    Row("429, however it is spelt", RESCUED,
        "another key at once; this one rests exactly as long as told",
        {"faults/test_limits.py::a_limited_key": "",
         "faults/test_limits.py::a_used_up_limit": "",
         "faults/test_limits.py::a_limit_of_one_model": "",
         "faults/test_limits.py::a_short_limit": "",
         "faults/test_limits.py::a_request_that_finds": ""}),
    Row("429 from every key", HONEST,
        "429 with an exact Retry-After and the well-known words",
        {"faults/test_limits.py::when_all_keys": "", "faults/test_limits.py::the_soonest_key": "",
         "faults/test_limits.py::a_long_wait": "", "faults/test_limits.py::guessed_limits": "",
         "faults/test_limits.py::one_other_failure": ""}),
    Row("storm of 429", HONEST, "answered at once, hardly multiplied",
        {"faults/test_limits.py::a_storm": ""}),
    Row("401, 403 about our key", RESCUED,
        "another key; the client is never asked for a new one; the key is tried again later",
        {**_keys("401 401_text 403_about_the_key 403_by_code 403_other"),
         "faults/test_keys.py::a_refused_key": ""}),
    Row("quota or credit used up", RESCUED, "another key; this one rests for minutes",
        _keys("402 429_insufficient_quota 400_credit_too_low 429_spend_limit")),
    Row("an upstream echoes a key", UNHARMED, "blanked in bodies, headers, streams and records",
        {"faults/test_keys.py::an_echoed_key": "", "faults/test_keys.py::a_key_echoed": "",
         "faults/test_keys.py::a_key_in_an": "", "faults/test_keys.py::a_key_in_a_passed": "",
         "e2e/test_canaries.py::": ""}),
    Row("faulty request, content filter, body too large", HONEST,
        "the provider's answer as it is, asked once",
        {"faults/test_refusals.py::a_refusal_comes_down": "",
         "faults/test_refusals.py::a_content_filter": "",
         "faults/test_refusals.py::a_413": ""}),
    Row("conversation too long, model unknown", RESCUED, "each other address is asked once",
        {"faults/test_refusals.py::too_long": "", "faults/test_refusals.py::a_model_nobody": ""}),
    Row("request with side effects", HONEST, "not sent again once it may have acted",
        {"faults/test_attempts.py::a_request_with_side_effects_is": "",
         "faults/test_attempts.py::a_request_with_side_effects_moves_on_while": "",
         "faults/test_attempts.py::an_unknown_endpoint": "",
         "faults/test_attempts.py::max_retries": ""}),
)  # fmt: skip

CLIENTS = (
    Row("client hangs up", UNHARMED,
        "the upstream is let go of within 100 ms; nobody works or is blamed for it",
        {"faults/test_hang_up.py::": ""}),
    Row("client stops reading", UNHARMED, "the upstream is slowed down; no memory fills",
        {"faults/test_back_pressure.py::": "",
         "net/test_review_client.py::a_client_that_asks": "",
         "net/test_review_client.py::a_reader_that_stops": ""}),
    Row("request smuggling, malformed framing", REFUSED,
        "400, and nothing behind it is executed, however it is split into reads",
        {"net/test_server_framing.py::": "", "net/test_review_memo.py::": ""}),
    Row("heads and bodies that are too large, too slow or endless", REFUSED,
        "refused with the right status, before memory fills",
        {"net/test_server_limits.py::": ""}),
    Row("slow and idle floods, connections beyond the limit", REFUSED,
        "good clients are served on",
        {"e2e/lifecycle/test_floods.py::": ""}),
    Row("no file descriptors left", REFUSED, "refuses, recovers, and the log stays short",
        {"e2e/lifecycle/test_descriptors.py::": ""}),
)  # fmt: skip

OURSELVES = (
    Row("kill -9 under load", UNHARMED,
        "starts again at once; loses nothing older than 200 ms, counts nothing twice, and says"
        " of what was under way that its end is unknown",
        {"e2e/lifecycle/test_kill.py::": "", "store/test_faults.py::a_killed_process": ""}),
    Row("SIGTERM with open streams", UNHARMED,
        "streams finish within the drain time, else are told in-band; exit code 0",
        {"e2e/lifecycle/test_stop.py::": ""}),
    Row("reload, with a broken file too", UNHARMED, "no request is lost, no stream disturbed",
        {"e2e/lifecycle/test_reload.py::": ""}),
    Row("disk full, file limit, folder not writable", UNHARMED,
        "records wait or live in memory; what is lost is counted",
        {"e2e/lifecycle/test_store_trouble.py::an_unwritable": "",
         "e2e/lifecycle/test_store_trouble.py::a_file_size": "",
         "e2e/lifecycle/test_store_trouble.py::a_full_disk": "",
         "store/test_faults.py::a_full": "", "store/test_faults.py::a_disk": "",
         "store/test_faults.py::a_limit": "", "store/test_faults.py::a_directory": "",
         "store/test_faults.py::memory": "", "store/test_faults.py::records_move": ""}),
    Row("records' file locked, damaged, removed, of a newer version", UNHARMED,
        "records wait, or a new file is begun and the old one kept aside",
        {"e2e/lifecycle/test_store_trouble.py::a_corrupt": "",
         "e2e/lifecycle/test_store_trouble.py::a_file_damaged": "",
         "e2e/lifecycle/test_store_trouble.py::a_locked": "",
         "e2e/lifecycle/test_store_trouble.py::a_database_locked": "",
         "store/test_faults.py::a_locked": "", "store/test_faults.py::a_file": "",
         "store/test_faults.py::damage": "", "store/test_faults.py::a_removed": ""}),
    Row("nobody reads the log", UNHARMED, "lines are dropped and counted",
        {"e2e/lifecycle/test_log_pipe.py::": ""}),
    Row("many requests", UNHARMED, "nothing stays in memory",
        {"e2e/test_memory.py::": ""}),
    Row("everything above at random", UNHARMED,
        "no answer is shortened, mixed or lost; the books agree with the providers'",
        {"faults/test_random_faults.py::": ""}),
)  # fmt: skip

GROUPS: Mapping[str, tuple[Row, ...]] = {
    "Reaching a provider": REACHING,
    "Answers": ANSWERS,
    "Streams": STREAMS,
    "Time": TIME,
    "Keys, limits and refusals": KEYS,
    "Clients": CLIENTS,
    "The proxy itself": OURSELVES,
}
ROWS = tuple(row for rows in GROUPS.values() for row in rows)


def claims(row: Row, test: str) -> bool:
    """Return whether a test (`faults/test_x.py::name[case]`, without `test_`) belongs to a row."""
    name, _, case = test.removesuffix("]").partition("[")
    return any(
        name.startswith(beginning) and (not cases or case in cases.split())
        for beginning, cases in row.tests.items()
    )


_HEAD = """\
# The fault matrix

What happens when something goes wrong, and the command that proves it:

```bash
make faults           # a few minutes
make faults LONG=1    # with the long random runs and floods
```

It starts the real proxy with hostile providers and clients over real sockets, and prints one line for each row below.
Every row also means: exactly one record per request, whose attempts are those that the providers saw; no key in any
byte that a client, a record or the log gets; and the next healthy request passes within a second. What each fault is
called, and what follows from it for keys and providers, says [faults.md](faults.md).

This page is written by `make faults` from `tests/faults/matrix.py`.
"""


def page() -> str:
    """Return docs/faults-matrix.md."""
    lines = [_HEAD, "| ending | means |", "| --- | --- |"]
    lines += [f"| **{ending.value}** | {text} |" for ending, text in MEANING.items()]
    for title, rows in GROUPS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| what goes wrong | ending | what must come of it | proved by |",
        ]
        lines.append("| --- | --- | --- | --- |")
        for row in rows:
            files = sorted({name.partition("::")[0] for name in row.tests})
            links = ", ".join(
                f"[{name.rpartition('test_')[2].removesuffix('.py')}](../tests/{name})"
                for name in files
            )
            lines.append(f"| {row.situation} | {row.ending.value} | {row.promise} | {links} |")
    return "\n".join(lines) + "\n"
