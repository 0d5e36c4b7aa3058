"""The page's own tests (types and vitest)."""

from .node import install_tools, npm


def test_the_components_words_and_faults_of_the_page_hold_together() -> None:
    install_tools()
    done = npm("test")
    assert done.returncode == 0, done.stdout + done.stderr
