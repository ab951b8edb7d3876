"""Files for real clusters: against schemas where they are installable, else against what matters in them.

The KubeRay resource definitions come in no Python package; here the manifests are checked for the settings that
keep a cluster safe and a job repeatable, and for commands that the jobs' own parsers accept.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import tomllib
import typing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml

from actionlib.zoo import list_models
from jobs import cli

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
KUBERAY = sorted((INFRA / "kuberay").glob("*.yaml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def ray_documents() -> list[Any]:
    found = []
    for path in KUBERAY:
        for document in documents(path):
            if document["apiVersion"] == "ray.io/v1":
                found.append(pytest.param(document, id=path.stem))
    return found


def cluster_spec(document: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = document["spec"]
    return spec.get("rayClusterSpec", spec)


def pod_templates(document: dict[str, Any]) -> list[dict[str, Any]]:
    spec = cluster_spec(document)
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    submitter = document["spec"].get("submitterPodTemplate")
    return [group["template"] for group in groups] + ([submitter] if submitter else [])


def ray_version() -> str:
    pins = [re.search(r"^ray\[.*\]==(.*)$", text) for text in PROJECT["dependencies"]]
    return next(pin[1] for pin in pins if pin)


# --- cluster launcher -------------------------------------------------------------------------------------------


@pytest.fixture
def launcher() -> dict[str, Any]:
    return documents(INFRA / "cluster" / "aws.yaml")[0]


def test_cluster_launcher_fits_the_schema_of_ray(launcher: dict[str, Any]) -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(launcher, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(launcher | {"idle_minutes": 5}, schema)


def test_cluster_launcher_settings(launcher: dict[str, Any]) -> None:
    types = launcher["available_node_types"]
    head = types[launcher["head_node_type"]]
    assert head["resources"]["CPU"] == 0, "no task beside the driver"
    assert types["decode"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert types["gpu"]["resources"]["GPU"] > 0
    assert launcher["max_workers"] >= sum(node.get("max_workers", 0) for node in types.values())
    assert 0 < launcher["idle_timeout_minutes"] <= 30
    environment = " ".join(launcher["docker"]["run_options"])
    assert "RAY_AUTH_MODE=token" in environment
    token = re.search(r"RAY_AUTH_TOKEN_PATH=(\S+)", environment)
    assert token and token[1] in launcher["file_mounts"], "every node gets the token as a file"
    for permission in launcher["provider"]["security_group"]["IpPermissions"]:
        assert all(block["CidrIp"] != "0.0.0.0/0" for block in permission["IpRanges"])
    for node in types.values():
        assert node["node_config"]["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in node["node_config"]["BlockDeviceMappings"])
    assert any("--dashboard-host=127.0.0.1" in line for line in launcher["head_start_ray_commands"])


# --- KubeRay ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", ray_documents())
def test_pods_are_confined(document: dict[str, Any]) -> None:
    """The `restricted` pod security standard, which namespace.yaml makes the API server enforce, and a bit more."""
    spec = cluster_spec(document)
    contexts = [
        container["securityContext"]
        for template in pod_templates(document)
        for container in template["spec"]["containers"]
    ]
    if spec.get("enableInTreeAutoscaling"):
        contexts.append(spec["autoscalerOptions"]["securityContext"])
    for context in contexts:
        assert context["runAsNonRoot"] is True and context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True and context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    for template in pod_templates(document):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["serviceAccountName"] == "actionlib"
        scratch = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == set(scratch)
            assert container["resources"]["requests"] == container["resources"]["limits"]
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
            assert not any(re.search("KEY|TOKEN|SECRET", variable["name"]) for variable in container["env"])
        is_head = template is spec["headGroupSpec"]["template"]
        needs_api = is_head and bool(spec.get("enableInTreeAutoscaling"))
        assert pod["automountServiceAccountToken"] is needs_api, "only an autoscaler talks to the API server"


@pytest.mark.parametrize("document", ray_documents())
def test_clusters_ask_for_a_token_and_name_our_ray(document: dict[str, Any]) -> None:
    spec = cluster_spec(document)
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["rayVersion"] == ray_version()
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    images = {c["image"] for template in pod_templates(document) for c in template["spec"]["containers"]}
    assert images == {"REPLACE_IMAGE"}
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_namespace_denies_what_it_does_not_name() -> None:
    namespace, account, policy = documents(INFRA / "kuberay" / "namespace.yaml")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert account["automountServiceAccountToken"] is False
    assert policy["spec"]["podSelector"] == {} and set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    outside = [
        peer["ipBlock"] for rule in policy["spec"]["egress"] for peer in rule["to"] if "ipBlock" in peer
    ]
    assert outside and all("169.254.169.254/32" in block["except"] for block in outside)


@pytest.mark.parametrize("document", [p for p in ray_documents() if p.values[0]["kind"] == "RayJob"])
def test_job_commands_are_accepted(document: dict[str, Any]) -> None:
    python, script, *flags = shlex.split(document["spec"]["entrypoint"])
    assert python == "python" and Path(script).parts[:3] == ("/", "app", "jobs")
    local = ROOT / "jobs" / Path(script).name
    assert os.access(local, os.X_OK)
    main = importlib.import_module(f"jobs.{local.stem}").main
    config = cli.parse(typing.get_type_hints(main)["config"], flags, {})
    spec = document["spec"]
    assert spec["backoffLimit"] >= 1 and spec["shutdownAfterJobFinishes"] is True
    if local.stem == "train":
        assert config.model in list_models()
        (group,) = cluster_spec(document)["workerGroupSpecs"]
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert config.workers == group["replicas"] * int(limits["nvidia.com/gpu"])
        assert int(limits["cpu"]) >= 1 + config.loaders, "a worker and its decoders fit into one pod"


# --- container --------------------------------------------------------------------------------------------------


def test_container_file() -> None:
    text = (INFRA / "container" / "Dockerfile").read_text()
    steps = [line for line in re.sub(r"\\\n", " ", text).splitlines() if line and not line.startswith("#")]
    users = [line.split()[1] for line in steps if line.startswith("USER ")]
    assert users[-1] == "1000" and steps.index(f"USER {users[-1]}") > max(
        number for number, line in enumerate(steps) if line.startswith("RUN")
    )
    installs = [line for line in steps if "pip install" in line]
    assert installs and all("--constraint constraints.txt" in line for line in installs)
    torch = next(pin for pin in PROJECT["dependencies"] if pin.startswith("torch=="))
    assert any(torch in line for line in installs)
    assert any("python:3.11-slim" in line for line in steps) and "private registry" in text
    allowed = {
        line[1:]
        for line in (INFRA / "container" / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for line in steps:
        if line.startswith("COPY "):
            *sources, _ = line.split()[1:]
            assert set(sources) <= allowed and all((ROOT / source).exists() for source in sources)


# --- what the user fills in -------------------------------------------------------------------------------------


def test_every_placeholder_is_explained() -> None:
    used = {
        name
        for path in INFRA.rglob("*")
        if path.is_file()
        for name in re.findall(r"REPLACE_[A-Z_]*[A-Z]", path.read_text())
    }
    explained = set(re.findall(r"REPLACE_[A-Z_]*[A-Z]", (ROOT / "docs" / "infra.md").read_text()))
    assert used == explained
