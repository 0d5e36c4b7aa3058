"""What a scrape of a running proxy holds, and that everything which shows it asks for what is there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.world import World
from tests.support.answers import chat_json, chat_stream, error, models_json
from tests.support.provider import ProviderThread
from tests.support.proxy_process import ProxyProcess

GRAFANA = Path(__file__).parents[2] / "deploy/grafana/llm-proxy.json"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A proxy with two keys, of its own so that it counts nothing else."""
    with ProviderThread() as provider:
        provider.reply(models_json(("test-model",)), path="/v1/models")
        keys = ("sk-first-0123456789abcd", "sk-second-0123456789abcd")
        directory = tmp_path_factory.mktemp("metrics")
        with ProxyProcess(directory, provider.url, api_key=keys) as proxy:
            yield World(proxy, provider)


async def scrape(world: World) -> Samples:
    """Return every sample by name and labels."""
    answer = await world.ask("GET", "/metrics")
    assert answer.status == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


async def test_a_scrape_tells_what_happened(metered: World) -> None:
    before = await scrape(metered)
    metered.provider.script(
        error(429, headers=[("retry-after", "1000")]), chat_json("hi", usage=(9, 3))
    )
    assert (await metered.generate("chat")).status == 200
    metered.provider.script(chat_stream("one two"))
    await metered.stream("chat")
    metered.record_of(await metered.generate("chat"))
    after = await scrape(metered)

    def grown(name: str, **labels: str) -> float:
        key = ("llm_proxy_" + name, tuple(sorted(labels.items())))
        return after[key] - before[key]

    assert grown("requests_total", format="chat", outcome="ok") >= 2
    assert grown("attempts_total", fault="rate_limited") == 1
    assert grown("rescued_total") == 1
    assert grown("upstream_attempts_total", upstream="upstream-1") >= 3
    assert grown("upstream_rate_limited_total", upstream="upstream-1") == 1
    assert grown("tokens_total", direction="input") >= 9
    assert grown("unpriced_total") >= 1  # a machine of the own network has no list price
    assert grown("first_token_seconds_count") == 1
    assert grown("own_seconds_count") >= 2
    assert 0 < grown("own_seconds_sum") < 1
    assert after["llm_proxy_keys", (("state", "cooling"),)] == 1
    assert after["llm_proxy_keys", (("state", "ready"),)] == 1
    assert ("process_resident_memory_bytes", ()) in after


async def test_labels_are_of_closed_lists(metered: World) -> None:
    for n in range(20):
        await metered.generate("chat", model=f"canary-model-{n}")
    samples = await scrape(metered)
    assert not [key for key in samples if "canary" in str(key)]
    assert len(samples) < 400


async def test_every_metric_of_the_dashboard_exists(metered: World) -> None:
    dashboard = json.loads(GRAFANA.read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [variable["query"]["query"] for variable in dashboard["templating"]["list"][1:]]
    asked = {
        name for query in queries for name in re.findall(r"\b(?:llm_proxy|process)_\w+", query)
    }
    exposed = {name for name, _ in await scrape(metered)}
    assert len(asked) > 15
    assert asked <= exposed


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    dashboard = json.loads(GRAFANA.read_text("utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
