"""docs/faults.md says of every fault what the table says."""

import re
from pathlib import Path

import pytest

from llm_proxy.domain.faults import FAULTS, Answer, Cost, Fault, Mark, Retry

PAGE = (Path(__file__).parents[3] / "docs" / "faults.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n\n(.*?)(?=\n#|\Z)", PAGE, re.MULTILINE | re.DOTALL))

NEXT = {
    Retry.NEVER: "nobody",
    Retry.OTHER_KEY: "any other key",
    Retry.OTHER_ADDRESS: "other addresses, then other keys, never the same again",
    Retry.ANYWHERE: "other addresses, then other keys, then the same after a pause",
    Retry.EACH_ADDRESS_ONCE: "each other address once",
    Retry.EACH_ONCE: "each other key once",
}
LEARNT = {
    Mark.NONE: "nothing",
    Mark.RATE: "this model rests on this key",
    Mark.QUOTA: "the key rests for 5 minutes",
    Mark.AUTH: "the key rests for a second, doubling to a minute",
    Mark.TARGET: "a failure of this key's breaker",
    Mark.ADDRESS: "a failure of the address's breaker",
}
ANSWER = {
    Answer.VERBATIM: "the provider's answer as it is",
    Answer.PARSABLE: "the provider's answer if it is a JSON error, else our words",
    Answer.OUR_WORDS: "our words",
    Answer.LIMITED: "`Retry-After` and the fixed words",
    Answer.NOTHING: "nothing",
}
COST = {Cost.NONE: "nothing", Cost.UNKNOWN: "unknown", Cost.PARTIAL: "part of an answer"}


def facts(fault: Fault) -> str:
    """Return the line that a fault's section begins with."""
    status = "the provider's status" if fault.status == 0 else str(fault.status)
    client = ANSWER[fault.answer]
    seen = client if fault.answer is Answer.NOTHING else f"{status}, {client}"
    return (
        f"*Client: {seen} · asked next: {NEXT[fault.retry]} · "
        f"learnt: {LEARNT[fault.mark]} · cost: {COST[fault.cost]}*"
    )


def test_every_fault_has_a_section_and_every_section_a_fault() -> None:
    assert list(SECTIONS) == list(FAULTS)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_a_section_begins_with_what_the_table_says_and_explains_it(fault: Fault) -> None:
    first, _, rest = SECTIONS[fault.name].partition("\n")
    assert first == facts(fault)
    assert len(rest.strip()) > 40, "say when it happens and what to do about it"
