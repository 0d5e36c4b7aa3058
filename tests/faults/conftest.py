"""The stage that the tests of one file share."""

from collections.abc import Iterator

import pytest

from .stage import Stage, build_stage


@pytest.fixture(scope="module")
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A running proxy with upstreams for every test of the file, as many as its `SCENES` says."""
    with build_stage(tmp_path_factory.mktemp("stage"), request.module.SCENES) as built:
        yield built
