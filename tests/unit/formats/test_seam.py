"""Where new text joins the old: nothing twice, nothing that does not belong, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.domain.faults import TEXT_DIFFERS
from llm_proxy.formats.format import RewriteError
from llm_proxy.formats.seam import Seam

TEXT = st.text(alphabet="ab \n", max_size=12)


def joined(seam: Seam, *pieces: str) -> list[str]:
    """Return what passes for each piece, and at the end."""
    return [*(seam.feed(piece) for piece in pieces), seam.end()]


@pytest.mark.parametrize(
    ("pieces", "passes"),
    [
        pytest.param([" world"], [" world", ""], id="a_continuation_passes_at_once"),
        pytest.param(["Hello world"], [" world", ""], id="a_repetition_is_dropped"),
        pytest.param(["Hel", "lo", " world"], ["", "", " world", ""], id="however_it_is_cut"),
        pytest.param(["Hel", "icopter"], ["", "Helicopter", ""], id="what_only_begins_so_is_kept"),
        pytest.param(["He"], ["", "He"], id="what_ends_undecided_repeats_nothing"),
        pytest.param(["Hello"], ["", ""], id="a_mere_repetition_adds_nothing"),
        pytest.param(["Hello", "Hello"], ["", "Hello", ""], id="it_is_dropped_once"),
        pytest.param(["", "!"], ["", "!", ""], id="nothing_decides_nothing"),
        pytest.param([], [""], id="nothing_is_a_continuation"),
    ],
)
def test_behind_a_prefill(pieces: list[str], passes: list[str]) -> None:
    assert joined(Seam("Hello", prefilled="Hello"), *pieces) == passes


@pytest.mark.parametrize(
    ("pieces", "passes"),
    [
        pytest.param(["\n", "\nMore"], ["", "More", ""], id="the_same_blanks_are_dropped"),
        pytest.param(["\n\n\nMore"], ["\nMore", ""], id="further_ones_are_kept"),
        pytest.param(["\n", "More"], ["", "\nMore", ""], id="fewer_ones_are_kept"),
        pytest.param([" More"], [" More", ""], id="others_are_kept"),
        pytest.param(["\n"], ["", "\n"], id="undecided_ones_are_kept"),
        pytest.param(["Hello\n", "\nMore"], ["", "More", ""], id="a_repetition_is_dropped"),
    ],
)
def test_blanks_that_were_kept_from_the_prefill(pieces: list[str], passes: list[str]) -> None:
    assert joined(Seam("Hello\n\n", prefilled="Hello"), *pieces) == passes


@given(TEXT, TEXT, TEXT, st.integers(1, 5))
def test_how_the_new_text_is_cut_makes_no_difference(
    sent: str, new: str, blanks: str, size: int
) -> None:
    sent += blanks
    whole = "".join(joined(Seam(sent, prefilled=sent.rstrip()), new))
    pieces = [new[at : at + size] for at in range(0, len(new), size)]
    assert "".join(joined(Seam(sent, prefilled=sent.rstrip()), *pieces)) == whole
    assert whole in (new, new.removeprefix(sent), new.removeprefix(sent[len(sent.rstrip()) :]))


@given(st.text(min_size=1, max_size=30), TEXT, st.integers(1, 5))
def test_from_scratch_the_same_text_passes_with_what_follows(
    sent: str, more: str, size: int
) -> None:
    new = sent + more
    pieces = [new[at : at + size] for at in range(0, len(new), size)]
    assert "".join(joined(Seam(sent, prefilled=None), *pieces)) == more


@given(TEXT.filter(bool), TEXT, st.integers(1, 5))
def test_from_scratch_another_text_never_passes(sent: str, new: str, size: int) -> None:
    if new.startswith(sent):
        new = "x" + new
    seam = Seam(sent, prefilled=None)
    error = None
    for at in range(0, len(new), size):
        try:
            assert seam.feed(new[at : at + size]) == ""
        except RewriteError as caught:
            error = caught
            break
    if error is None:
        with pytest.raises(RewriteError) as at_end:
            seam.end()
        error = at_end.value
    assert error.fault is TEXT_DIFFERS
