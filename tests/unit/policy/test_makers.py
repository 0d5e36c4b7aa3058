"""Who made what is remembered as long as it is of use."""

import pytest

from llm_proxy.domain.made import Made
from llm_proxy.policy import makers as makers_module
from llm_proxy.policy.makers import REFRESH_MS, Makers

NOW_MS = 1_764_000_000_000


@pytest.fixture
def saved() -> list[Made]:
    return []


@pytest.fixture
def makers(saved: list[Made]) -> Makers:
    return Makers(saved.append)


def made(id_: str = "resp_1", *, target: str = "t1", caller: str = "me", at: int = 0) -> Made:
    return Made(id_, target, caller, NOW_MS + at)


def test_what_was_made_is_found_and_saved(makers: Makers, saved: list[Made]) -> None:
    makers.add(made())
    assert makers.find("resp_1", NOW_MS + 5) == made()
    assert makers.find("resp_2", NOW_MS + 5) is None
    assert saved == [made()]


def test_the_same_again_is_not_written_again(makers: Makers, saved: list[Made]) -> None:
    makers.add(made())
    makers.add(made(at=1_000))
    assert saved == [made()]
    makers.add(made(target="t2", at=2_000))
    assert saved == [made(), made(target="t2", at=2_000)]
    assert makers.find("resp_1", NOW_MS + 3_000) == made(target="t2", at=2_000)


def test_what_is_used_is_saved_anew_now_and_then(makers: Makers, saved: list[Made]) -> None:
    makers.add(made())
    makers.find("resp_1", NOW_MS + REFRESH_MS - 1)
    assert len(saved) == 1
    makers.find("resp_1", NOW_MS + REFRESH_MS)
    assert saved[1:] == [made(at=REFRESH_MS)]


def test_the_longest_unused_goes_first(makers: Makers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(makers_module, "MAX_IDS", 3)
    for n in range(3):
        makers.add(made(f"resp_{n}"))
    makers.find("resp_0", NOW_MS)
    makers.add(made("resp_3"))
    known = [n for n in range(4) if makers.find(f"resp_{n}", NOW_MS) is not None]
    assert known == [0, 2, 3]


def test_what_was_saved_is_known_again_without_being_saved(saved: list[Made]) -> None:
    makers = Makers(saved.append)
    makers.restore([made("resp_1"), made("file-1")])
    assert makers.find("file-1", NOW_MS) == made("file-1")
    assert makers.has_files
    assert saved == []


def test_prompts_are_scanned_for_files_only_where_there_are_some(makers: Makers) -> None:
    makers.add(made("resp_1"))
    assert not makers.has_files
    makers.add(made("file_011CNha8iCJcU1wXNR6q4V8w"))
    assert makers.has_files
