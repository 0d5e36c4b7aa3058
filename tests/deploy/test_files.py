"""Every file for a platform: read, checked against the platform's own rules, and against ours.

The files say the same things in ten dialects. What they must agree on with each other and with the
program stands here once: variables that exist, one port, one health path, one folder, one user,
and a drain that the platform lets come to its end.
"""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import yaml

from llm_proxy.config.load import load
from llm_proxy.config.settings import NAMES, Settings
from tests.deploy import shapes
from tests.deploy.image import read_steps

ROOT = Path(__file__).parents[2]
SETTINGS = {name.upper() for name in NAMES}
PLATFORMS_OWN = {
    "MALLOC_ARENA_MAX",  # glibc's
    "RAILWAY_DEPLOYMENT_DRAINING_SECONDS",
    "RAILWAY_RUN_UID",
}
PLATFORM_ENDS_AFTER_S = 30
"""When the platforms that do not let us choose end a process (Heroku, Render's free plan, Zeabur)."""


class Facts(NamedTuple):
    """What a file says in its own dialect.

    Attributes:
        variables: The container's variables; None = asked for, generated or kept elsewhere.
        kill_s: When the platform ends a process that is still draining.
        ports: The container's port, wherever it is named.
        paths: Health check paths.
        data: Where the lasting folder is, if there is one.
    """

    variables: dict[str, str | None]
    kill_s: float
    ports: frozenset[int] = frozenset()
    paths: frozenset[str] = frozenset()
    data: str = ""


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def compose() -> Facts:
    (service,) = read_yaml("compose.yaml", shapes.Compose).services.values()
    outer, inner = service.ports[0].rsplit(":", 1)
    assert outer == "${PORT:-8000}"
    given = {
        key: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", str(value))
        for key, value in service.environment.items()
    }
    return Facts(
        {key: None if "?" in value else value for key, value in given.items()},
        seconds(service.stop_grace_period),
        frozenset({int(inner)}),
        data=service.volumes[0].partition(":")[2],
    )


def render() -> Facts:
    (service,) = read_yaml("render.yaml", shapes.Render).services
    # The free plan refuses both fields.
    assert service.plan != "free" or (service.disk is None and is_absent("maxShutdownDelaySeconds"))
    variables = {one.key: one.value or None for one in service.env_vars}
    return Facts(
        variables,
        service.max_shutdown_delay_seconds,
        paths=frozenset({service.health_check_path}),
        data=service.disk.mount_path if service.disk else "",
    )


def is_absent(field: str) -> bool:
    return field not in yaml.safe_load(text_of("render.yaml"))["services"][0]


def fly() -> Facts:
    file = msgspec.toml.decode(text_of("fly.toml"), type=shapes.Fly)
    kill_s = seconds(file.kill_timeout)
    assert kill_s <= 300  # the platform's own limit on shared machines
    return Facts(
        dict(file.env),
        kill_s,
        frozenset({file.http_service.internal_port, int(file.env["PORT"])}),
        frozenset(check.path for check in file.http_service.checks),
        file.mounts.destination,
    )


def zeabur() -> Facts:
    file = read_yaml("deploy/zeabur.yaml", shapes.Zeabur)
    (service,) = file.spec.services
    asked = {variable.key for variable in file.spec.variables}
    assert service.domain_key in asked
    env = {key: value.default for key, value in service.spec.env.items()}
    referred = set(re.findall(r"\$\{(\w+)\}", "\n".join(env.values())))
    assert referred <= {*asked, "PASSWORD"}
    return Facts(
        {key: None if "$" in value else value for key, value in env.items()},
        PLATFORM_ENDS_AFTER_S,
        frozenset({*(port.port for port in service.spec.ports), int(env["PORT"])}),
        data=service.spec.volumes[0].dir,
    )


def heroku() -> Facts:
    app = msgspec.json.decode(text_of("app.json"), type=shapes.HerokuApp)
    manifest = read_yaml("heroku.yml", shapes.HerokuManifest)
    assert (ROOT / manifest.build.docker["web"]).is_file()
    return Facts({key: one.value or None for key, one in app.env.items()}, PLATFORM_ENDS_AFTER_S)


def railway() -> Facts:
    text = re.sub(r"//.*(?!\S)", "", text_of("deploy/railway/railway.ts").replace("https://", ""))
    (block,) = re.findall(r"env: \{(.*?)\n    \}", text, re.DOTALL)
    pairs = re.findall(r"(\w+): (?:\"([^\"]*)\"|preserve\(\))", block)
    variables = {key: value or None for key, value in pairs}
    return Facts(
        variables,
        float(variables["RAILWAY_DEPLOYMENT_DRAINING_SECONDS"] or 0),
        paths=frozenset(re.findall(r"healthcheck: \"(.+?)\"", text)),
        data=re.findall(r"volumeMounts: \{ \"(.+?)\"", text)[0],
    )


def systemd() -> Facts:
    service = read_unit()["Service"]
    variables = dict(pair.split("=", 1) for pair in shlex.split(service["Environment"]))
    folder = variables.pop("DATA_DIR")
    assert folder == f"/var/lib/{service['StateDirectory']}" == service["WorkingDirectory"]
    return Facts({**variables, **dict.fromkeys(ASKED)}, float(service["TimeoutStopSec"]))


def kubernetes() -> Facts:
    pod = objects()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (secret,) = container["envFrom"]
    assert secret["secretRef"]["name"] == "llm-proxy"
    asked = re.findall(r"--from-literal=(\w+)=", text_of("deploy/kubernetes/llm-proxy.yaml"))
    variables = {one["name"]: one["value"] for one in container["env"]}
    return Facts(
        {**variables, **dict.fromkeys(asked)},
        pod["terminationGracePeriodSeconds"],
        frozenset({container["ports"][0]["containerPort"], int(variables["PORT"])}),
        frozenset({container["livenessProbe"]["httpGet"]["path"]}),
        container["volumeMounts"][0]["mountPath"],
    )


def space() -> Facts:
    _, front, _ = text_of("deploy/huggingface/README.md").split("---\n", 2)
    matter = msgspec.yaml.decode(front, type=shapes.Space)
    steps = read_steps(ROOT / "deploy/huggingface/Dockerfile")
    said = {step.name: step.text for step in steps}
    msgspec.convert(said["FROM"], shapes.Image)
    variables = dict(pair.split("=", 1) for pair in shlex.split(said["ENV"]))
    assert variables.pop("DATA_DIR").startswith("/tmp/")  # the platform's user owns nothing else
    return Facts(
        {**variables, **dict.fromkeys(ASKED)}, PLATFORM_ENDS_AFTER_S, frozenset({matter.app_port})
    )


T = TypeVar("T")
ASKED = ("PROXY_URL", "API_KEY", "MY_ACCESS_KEY")
PLATFORMS = (compose, render, fly, zeabur, heroku, railway, systemd, kubernetes, space)
every_platform = pytest.mark.parametrize("read", PLATFORMS, ids=lambda read: read.__name__)


def read_yaml(name: str, shape: type[T]) -> T:
    return msgspec.yaml.decode(text_of(name), type=shape)


def read_unit() -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, delimiters="=")
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text_of("deploy/systemd/llm-proxy.service"))
    return unit


def objects() -> dict[str, Any]:
    """Return the cluster's objects by their kind."""
    return {
        one["kind"]: one for one in yaml.safe_load_all(text_of("deploy/kubernetes/llm-proxy.yaml"))
    }


@every_platform
def test_a_file_sets_only_variables_that_exist_to_values_that_work(
    read: Any, tmp_path: Path
) -> None:
    facts = read()
    assert set(facts.variables) <= SETTINGS | PLATFORMS_OWN
    given = {key: value for key, value in facts.variables.items() if value and key in SETTINGS}
    base = {"PROXY_URL": "https://api.example.com", "API_KEY": "sk-one", "MY_ACCESS_KEY": "k" * 20}
    settings = load({**base, **given}, config_path=None, cwd=tmp_path)
    assert not settings.repairs
    for key, value in given.items():
        assert str(getattr(settings, key.lower())).removesuffix(".0") == value


@every_platform
def test_a_file_asks_for_what_the_proxy_cannot_do_without(read: Any) -> None:
    if read is fly:  # its secrets stand in no file
        assert all(f"{name}=" in text_of("fly.toml") for name in ASKED)
        return
    variables = read().variables
    assert all(name in variables and variables[name] is None for name in ASKED)


@every_platform
def test_open_streams_may_finish_before_the_platform_ends_the_process(read: Any) -> None:
    facts = read()
    assert float(facts.variables["DRAIN_TIMEOUT_S"] or 0) + 5 <= facts.kill_s


@every_platform
def test_a_file_means_the_port_the_path_and_the_folder_that_the_image_has(read: Any) -> None:
    facts = read()
    said = {step.name: step.text for step in read_steps(ROOT / "Dockerfile")}
    assert facts.ports <= {int(said["EXPOSE"]), Settings().port}
    assert facts.paths <= {"/health"}
    assert facts.data in ("", "/data")
    assert "DATA_DIR=/data" in said["ENV"]


def test_the_cluster_asks_readiness_of_ready_and_runs_the_images_user() -> None:
    deployment = objects()["Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}
    user = {step.name: step.text for step in read_steps(ROOT / "Dockerfile")}["USER"]
    assert user == f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert objects()["Service"]["spec"]["selector"].items() <= labels.items()
    claim = pod["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim == objects()["PersistentVolumeClaim"]["metadata"]["name"]


def test_fly_tells_whose_the_volume_must_be() -> None:
    assert "chown 10001:10001 /data" in text_of("fly.toml")


def test_zeabur_has_the_same_variables_in_every_language() -> None:
    file = read_yaml("deploy/zeabur.yaml", shapes.Zeabur)
    for words in file.localization.values():
        assert [(v.key, v.type) for v in words.variables] == [
            (v.key, v.type) for v in file.spec.variables
        ]


def test_railway_declares_every_resource_and_imports_every_name() -> None:
    text = text_of("deploy/railway/railway.ts")
    (imported,) = re.findall(r"import \{(.+?)\} from \"railway/iac\"", text)
    names = {name.strip() for name in imported.split(",")}
    assert names == {name for name in names if re.search(rf"\b{name}\(", text)}
    assert set(re.findall(r"const (\w+) = (?:service|volume)\(", text)) == {
        name.strip() for name in re.findall(r"resources: \[(.+?)\]", text)[0].split(",")
    }


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh-CN.md", "docs/deploy.md", "docs/deploy.zh-CN.md"]
)
def test_the_buttons_of_the_documentation_fit_the_files(page: str) -> None:
    text = text_of(page)
    (koyeb,) = re.findall(r"\((https://app\.koyeb\.com/deploy\?[^)]+)\)", text)
    asked = dict(parse_qsl(urlsplit(koyeb).query, keep_blank_values=True))
    msgspec.convert(asked.pop("image"), shapes.Image)
    assert asked.pop("ports") == f"{Settings().port};http;/"
    assert (asked.pop("type"), asked.pop("name")) == ("docker", "llm-proxy")
    variables = {key.removeprefix("env[").removesuffix("]"): value for key, value in asked.items()}
    assert {key for key, value in variables.items() if not value} == set(ASKED)
    assert set(variables) <= SETTINGS
    assert float(variables["DRAIN_TIMEOUT_S"]) + 5 <= PLATFORM_ENDS_AFTER_S
    repository = msgspec.json.decode(text_of("app.json"), type=shapes.HerokuApp).repository
    assert f"https://render.com/deploy?repo={repository})" in text
    assert f"https://www.heroku.com/deploy?template={repository})" in text


def test_systemd_itself_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    unit = tmp_path / "llm-proxy.service"
    unit.write_text(
        text_of("deploy/systemd/llm-proxy.service").replace(
            "/opt/llm-proxy/bin/llm-proxy", "/bin/true"
        )
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert not [line for line in done.stderr.splitlines() if "llm-proxy.service" in line]


def test_images_are_of_a_version_never_the_latest() -> None:
    named = [
        (path, image)
        for path in (ROOT / "deploy").rglob("*")
        if path.is_file()
        for image in re.findall(r"ghcr\.io/[\w./-]+(?::[\w.-]+)?", path.read_text("utf-8"))
    ]
    assert len(named) >= 4
    for path, image in named:
        assert re.fullmatch(r".+:\d+(\.\d+)*", image), (path, image)
    assert all(":latest" not in step.text for step in read_steps(ROOT / "Dockerfile"))


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def read_workflow(path: Path) -> shapes.Workflow:
    loaded = yaml.safe_load(path.read_text("utf-8"))
    loaded["on"] = loaded.pop(True)  # how YAML 1.1 reads the word `on`
    return msgspec.convert(loaded, shapes.Workflow)


@every_workflow
def test_a_workflow_may_only_read_unless_a_job_needs_more(path: Path) -> None:
    workflow = read_workflow(path)
    assert workflow.permissions == {"contents": "read"}
    for job in workflow.jobs.values():
        assert job.get("permissions", {"contents": "read"})["contents"] == "read"
        assert "uses" in job or job["timeout-minutes"] <= 45


@every_workflow
def test_a_workflow_runs_only_actions_pinned_by_their_commit(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text("utf-8"))
    assert used
    for action, comment in used:
        if action.startswith("./"):
            assert (ROOT / action).is_file()
        else:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_an_action_has_the_same_commit_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, commit in re.findall(r"uses: ([\w./-]+)@(\S+ # \S+)", path.read_text("utf-8")):
            pins.setdefault(name, set()).add(commit)
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


def test_nothing_is_published_before_the_tests_have_passed() -> None:
    for name in ("docker.yml", "release.yml"):
        jobs = read_workflow(ROOT / ".github/workflows" / name).jobs
        for job_name in jobs:
            above = job_name
            while "needs" in jobs[above]:
                above = jobs[above]["needs"]
            assert above == "test", job_name


def test_updates_are_watched_for_every_sort_of_dependency() -> None:
    loaded = yaml.safe_load(text_of(".github/dependabot.yml"))
    places = {(one["package-ecosystem"], one["directory"]) for one in loaded["updates"]}
    assert places == {("github-actions", "/"), ("pip", "/"), ("npm", "/web"), ("docker", "/")}


def test_a_dashboard_for_grafana_can_be_read() -> None:
    for path in (ROOT / "deploy").rglob("*.json"):
        json.loads(path.read_text("utf-8"))
