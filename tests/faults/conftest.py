"""The stage that the tests of one file share."""

from collections.abc import Iterator

import pytest

from .stage import Stage, build_stage


@pytest.fixture(scope="module")
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A running proxy with upstreams for every test of the file, as many as its `SCENES` says."""
    environment = getattr(request.module, "ENVIRONMENT", None)
    directory = tmp_path_factory.mktemp("stage")
    with build_stage(directory, request.module.SCENES, environment=environment) as built:
        yield built
