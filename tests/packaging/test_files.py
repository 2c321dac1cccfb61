"""What a machine that runs no containers can say of the files that make them."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kanca.api.problems import problem
from kanca.errors import Unavailable
from kanca.settings import MIN_KEY_LENGTH, PREFIX
from tests.packaging.deployment import (
    BASE,
    FILES,
    NAMES,
    OPS,
    ROOT,
    check_command,
    check_environment,
    check_patience,
    docker_environment,
    docker_instructions,
    docker_words,
    documents,
    env_file,
    seconds_of,
)

COMPOSE = documents(ROOT / "compose.yaml")[0]
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "kanca"}
PODS = {
    document["metadata"]["name"]: document["spec"]["template"]["spec"]
    for name in ("gateway", "worker", "migrate")
    for document in documents(BASE / f"{name}.yaml")
    if "template" in document["spec"]
}
PASSING = "/tmp"  # noqa: S108 - a mount point in containers
UNIT = (OPS / "systemd" / "kanca.service").read_text()


def run(*words: object) -> str:
    """What a tool of the environment says. Fails with it unless it is content."""
    done = subprocess.run(
        [Path(sys.executable).with_name(str(words[0])), *map(str, words[1:])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_dockerfile_is_as_hadolint_wants_it() -> None:
    run("hadolint", ROOT / "Dockerfile")


def test_the_compose_file_fits_its_schema() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml")


def test_the_proxy_reads_its_configuration() -> None:
    told = run("caddy", "validate", "--adapter", "caddyfile", "--config", OPS / "compose" / "Caddyfile")
    assert "Valid configuration" in told


@pytest.mark.parametrize(
    "path", [*sorted(BASE.glob("*.yaml")), OPS / "kubernetes/overlays/example/ingress.yaml"]
)
def test_the_resources_fit_the_schemas_of_kubernetes(path: Path) -> None:
    if path.name == "kustomization.yaml":
        [kustomization] = documents(path)
        named = {*kustomization["resources"], *kustomization["configMapGenerator"][0]["envs"], path.name}
        assert named == {each.name for each in BASE.iterdir()}
    else:
        run("kubernetes-validate", "--strict", path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_that_is_named_there_is(path: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", path.read_text()))
    assert named <= NAMES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_fetched_from_a_named_registry(path: Path) -> None:
    text = path.read_text()
    assert "index-url" not in text
    images = re.findall(r"^(?:FROM|\s*image:)\s+(\S+)", text, re.MULTILINE)
    hosts = [image.split("/")[0] for image in images if "/" in image]
    assert not [host for host in hosts if "." in host or ":" in host]


def test_the_image_runs_as_nobody_special_on_a_root_that_is_not_written_to() -> None:
    said = dict(docker_instructions())
    assert said["USER"] == "10001:10001"
    assert docker_words(said["VOLUME"]) == ["/data"]
    assert said["WORKDIR"] == "/data"
    settings = check_environment(docker_environment())
    assert (settings.host, str(settings.port)) == ("0.0.0.0", said["EXPOSE"])
    assert settings.database_url == "sqlite:////data/kanca.db"
    probe = said["HEALTHCHECK"].partition("CMD ")[2]
    for words in (docker_words(said["ENTRYPOINT"]) + docker_words(said["CMD"]), docker_words(probe)):
        assert words[0] == "kanca"
        check_command(words[1:])


def test_the_image_is_made_of_what_is_locked_and_of_nothing_else() -> None:
    copied = [
        name
        for word, rest in docker_instructions()
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    ]
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(kept)
    assert all((ROOT / name).exists() for name in copied)
    installs = [rest for word, rest in docker_instructions() if word == "RUN" and "pip install" in rest]
    for command in re.findall(r"pip install (.*?)(?:&&|$)", " ".join(installs)):
        assert "--require-hashes" in command or "--no-index --no-deps" in command


@pytest.mark.parametrize("name", OURS)
def test_services_run_confined_with_settings_that_there_are(name: str) -> None:
    service: dict[str, Any] = OURS[name]
    settings = check_environment(docker_environment() | service["environment"])
    check_command(service.get("command", ["serve"]))
    check_patience(seconds_of(service["stop_grace_period"]), settings)
    assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], [PASSING])
    assert settings.gateways + settings.workers > 0
    # What listens nowhere has nothing to probe.
    is_probed = not service.get("healthcheck", {}).get("disable", False)
    assert is_probed == (name.startswith("gateway"))


def test_two_gateways_stand_behind_the_proxy_and_it_alone_is_believed() -> None:
    gateways = sorted(name for name in OURS if name.startswith("gateway"))
    caddyfile = (OPS / "compose" / "Caddyfile").read_text()
    upstreams = re.search(r"reverse_proxy (.*) \{", caddyfile)
    assert upstreams
    assert (
        upstreams[1].split() == [f"{name}:8000" for name in gateways] == ["gateway-1:8000", "gateway-2:8000"]
    )
    assert "health_uri /health/ready" in caddyfile
    refusal = re.search(
        r"handle_errors 502 503 504 \{\s+header Retry-After \d+.*?respond `(.*?)` (\d+)", caddyfile, re.DOTALL
    )
    assert refusal
    assert (json.loads(refusal[1]), int(refusal[2])) == (
        problem(503, Unavailable.code, Unavailable.title, "No gateway could be reached."),
        503,
    )
    [network] = COMPOSE["networks"]["inside"]["ipam"]["config"]
    for service in OURS.values():
        assert service["networks"] == ["inside"]
        assert "ports" not in service
        assert service["environment"]["KANCA_TRUSTED_PROXIES"] == network["subnet"]


def test_every_secret_of_the_services_is_made_by_the_script(tmp_path: Path) -> None:
    script = shutil.copy(OPS / "compose" / "make-secrets", tmp_path)
    for _ in range(2):
        subprocess.run(["/bin/sh", script], check=True, capture_output=True, timeout=60)
    made = {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()}
    assert made.keys() == COMPOSE["secrets"].keys()
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert min(map(len, made.values())) >= MIN_KEY_LENGTH
    assert made["postgres_password"] in made["database_url"]
    mounted = {f"/run/secrets/{name}" for name in OURS["worker"]["secrets"]}
    files = {value for name, value in OURS["worker"]["environment"].items() if name.endswith("_FILE")}
    assert files == mounted


@pytest.mark.parametrize("name", PODS)
def test_pods_are_restricted_and_given_time_to_stop(name: str) -> None:
    pod = PODS[name]
    [container] = pod["containers"]
    security = container["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"]) == (False, True)
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/data", PASSING}
    check_command(container["args"])
    variables = env_file(BASE / "settings.env") | {
        each["name"]: each["value"] for each in container.get("env", [])
    }
    settings = check_environment(variables)
    if container["args"] == ["serve"]:
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        check_patience(pod["terminationGracePeriodSeconds"] - pause, settings)


def test_gateways_are_probed_where_they_answer() -> None:
    [container] = PODS["kanca-gateway"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert env_file(BASE / "settings.env")["KANCA_PORT"] == str(container["ports"][0]["containerPort"])
    [worker] = PODS["kanca-worker"]["containers"]
    assert not [name for name in worker if name.endswith("Probe")]


def test_pods_read_their_secrets_where_they_are_mounted() -> None:
    [container] = PODS["kanca-gateway"]["containers"]
    [mount] = [each for each in container["volumeMounts"] if each["name"] == "secrets"]
    for name, value in env_file(BASE / "settings.env").items():
        if name.endswith("_FILE"):
            assert value.startswith(mount["mountPath"] + "/")


def test_the_overlay_changes_what_is_there() -> None:
    [overlay] = documents(OPS / "kubernetes" / "overlays" / "example" / "kustomization.yaml")
    assert {each["name"] for each in overlay["replicas"]} <= PODS.keys()
    [generated] = overlay["configMapGenerator"]
    check_environment(dict(each.split("=", 1) for each in generated["literals"]))
    [config] = documents(BASE / "kustomization.yaml")[0]["configMapGenerator"]
    assert (generated["name"], generated["behavior"]) == (config["name"], "merge")


def test_the_unit_is_confined_and_stops_as_kanca_does() -> None:
    said = dict(line.split("=", 1) for line in UNIT.splitlines() if "=" in line and not line.startswith("#"))
    settings = check_environment(env_file(OPS / "systemd" / "kanca.env"))
    check_patience(float(said["TimeoutStopSec"]), settings)
    check_command(said["ExecStart"].split()[1:])
    # Nothing tells systemd that it is ready, so it must not wait for that.
    assert (said["Type"], said["KillMode"], said["KillSignal"]) == ("exec", "mixed", "SIGTERM")
    assert said["RestartPreventExitStatus"] == "2 78"
    assert (said["DynamicUser"], said["NoNewPrivileges"], said["ProtectSystem"]) == ("yes", "yes", "strict")
    loaded = re.findall(r"^LoadCredential=(\w+):", UNIT, re.MULTILINE)
    assert re.findall(r"_FILE=%d/(\w+)", UNIT) == loaded
