"""The templates in `deployments/` that need Docker, machines or Kubernetes to run: what can be known without them."""

import importlib.metadata
import json
import re
import shlex
from pathlib import Path

import pytest
import ray
import yaml

from dfd_core.config import load_config

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOYMENTS = ROOT / "deployments"
YAMLS = sorted(path.name for path in DEPLOYMENTS.glob("*.yaml"))
UNTRIED = ("Dockerfile", "compose.yaml", "ray-cluster.yaml", "kuberay.yaml")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|ROOT_USER", re.IGNORECASE)


def read(name):
    (document,) = read_all(name)
    return document


def read_all(name):
    return list(yaml.safe_load_all((DEPLOYMENTS / name).read_text()))


def lines(name):
    return re.sub(r"\\\n\s*", " ", (DEPLOYMENTS / name).read_text()).splitlines()


def leaves(value, path=()):
    """Every value that is no mapping or list, with the keys that lead to it."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, str(key)))
    else:
        yield path, value


def commands(text):
    """The commands of a shell's line, as lists of words; what puts them into the background is left out."""
    words = shlex.split(text.strip("()"), comments=False)
    found = [[]]
    for word in words:
        if word in ("&&", "&", ";", ">", "2>&1") or word.endswith(";"):
            found[-1] += [word.removesuffix(";")] if word.endswith(";") and word != ";" else []
            found.append([])
        else:
            found[-1].append(word)
    wrappers = ("exec", "nohup", "setsid")
    bare = [[w for w in one if w not in wrappers and not re.match(r"[A-Z_]+=", w)] for one in found]
    return [one for one in bare if one]


def every_command():
    """Each command that a template starts in a container of ours, as (file, words)."""
    for name, service in read("compose.yaml")["services"].items():
        if "build" in service:
            words = service["command"]
            parts = commands(words[2]) if words[:2] == ["sh", "-c"] else [words]
            yield from ((f"compose.yaml: {name}", part) for part in parts)
    cluster = read("ray-cluster.yaml")
    for line in cluster["head_start_ray_commands"] + cluster["worker_start_ray_commands"]:
        yield from (("ray-cluster.yaml", part) for part in commands(line) if "/" not in part[0])
    for pod in pods():
        (container,) = pod["containers"]
        assert container["command"] == ["bash", "-c"]
        yield from (("kuberay.yaml", part) for part in commands(container["args"][0]))


def pods():
    spec = read_all("kuberay.yaml")[1]["spec"]
    return [group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


def test_the_configurations_to_copy_are_valid():
    assert load_config(DEPLOYMENTS / "folders.yaml").datasets[0].folders == (str(DEPLOYMENTS / "images" / "faces"),)
    assert load_config(DEPLOYMENTS / "benchmark.yaml").store == "s3://bucket/dfd"


@pytest.mark.parametrize("name", YAMLS)
def test_no_secret_stands_in_a_file(name):
    for document in read_all(name):
        for path, value in leaves(document):
            text = str(value)
            assert not re.search(r"://[^/@$]*:[^/@$]+@", text), path
            if path and SECRET.search(path[-1]):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?\}", text) or text.startswith("~/"), (path, text)


@pytest.mark.parametrize("name", UNTRIED)
def test_what_has_not_been_tried_says_so_before_anything_else(name):
    head = (line for line in lines(name) if line)
    comment = [line for _, line in zip(range(30), head, strict=False) if line.startswith("#")]
    assert any(line.startswith("# Untried: ") for line in comment)


def test_every_command_exists_with_its_options():
    from ray.scripts.scripts import start

    options = {option for parameter in start.params for option in parameter.opts}
    pool = read("prefect.yaml")["deployments"][0]["work_pool"]["name"]
    seen = set()
    for where, words in every_command():
        seen.add(tuple(words[:3]) if words[0] == "prefect" else tuple(words[:2]))
        if words[:2] == ["ray", "start"]:
            used = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
            assert used <= options, where
        elif words[:3] == ["prefect", "worker", "start"]:
            assert words[3:] == ["--pool", pool, "--type", "process"], where
        else:
            assert words[0] in ("ulimit", "python", "$KUBERAY_GEN_RAY_START_CMD", "ray", "prefect"), (where, words)
    assert {("ray", "start"), ("prefect", "worker", "start"), ("prefect", "server", "start")} <= seen


def test_versions_are_those_of_the_lock():
    lock = dict(re.findall(r"^([a-z0-9_-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert read_all("kuberay.yaml")[1]["spec"]["rayVersion"] == lock["ray"]
    assert read("prefect.yaml")["prefect-version"] == lock["prefect"]
    uv = re.search(r"uv==(\S+)", (ROOT / "Makefile").read_text())[1]
    assert f"ARG UV_VERSION={uv}" in lines("Dockerfile")


def test_the_image_has_what_it_copies_and_runs_as_nobody_special():
    text = lines("Dockerfile")
    ignored = (DEPLOYMENTS / "Dockerfile.dockerignore").read_text().splitlines()
    admitted = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = [words[1:-1] for words in map(str.split, text) if words[:1] == ["COPY"] and "--from=build" not in words]
    for source in (source for sources in copied for source in sources):
        assert (ROOT / source).exists()
        assert source in admitted
    assert "*" in ignored
    last = text[max(index for index, line in enumerate(text) if line.startswith("FROM")) :]
    assert "USER dfd" in last
    assert any(line.startswith("HEALTHCHECK") for line in last)
    scripts = {script.name for script in importlib.metadata.distribution("dfd").entry_points}
    for line in last:
        if line.startswith(("HEALTHCHECK", "CMD")):
            assert json.loads(line[line.index("[") :])[0] in scripts
    for name in re.findall(r"^ARG ([A-Z_]+)=", "\n".join(text), re.MULTILINE):
        assert sum(f"${name}" in line or f"${{{name}}}" in line for line in text), name


def test_compose_publishes_on_loopback_only_and_builds_the_image_here():
    compose = read("compose.yaml")
    arguments = set(re.findall(r"^ARG ([A-Z_]+)", (DEPLOYMENTS / "Dockerfile").read_text(), re.MULTILINE))
    for name, service in compose["services"].items():
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service.get("ports", [])), name
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        assert "latest" not in service["image"]
        assert {mount.partition(":")[0] for mount in service.get("volumes", [])} <= set(compose["volumes"])
        if "build" in service:
            place = (DEPLOYMENTS / service["build"]["context"]).resolve()
            assert (place / service["build"]["dockerfile"]).is_file()
            assert set(service["build"]["args"]) <= arguments
        if any("ray" in word for word in service.get("command", [])):
            assert service["environment"]["RAY_AUTH_MODE"] == "token"


def test_rays_own_schema_accepts_the_cluster():
    from ray.autoscaler._private.util import prepare_config, validate_config

    cluster = read("ray-cluster.yaml")
    validate_config(prepare_config(dict(cluster)))
    assert cluster["max_workers"] == cluster["min_workers"] == len(cluster["provider"]["worker_ips"])
    assert "--env RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    assert cluster["file_mounts"] == {"/home/dfd/.ray/auth_token": "~/.ray/auth_token"}
    assert ray.__version__.startswith("2.")


def test_kubernetes_has_a_group_with_gpus_a_token_and_no_rights():
    settings, cluster = read_all("kuberay.yaml")
    spec = cluster["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert cluster["metadata"]["annotations"] == {"ray.io/overwrite-container-cmd": "true"}
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    assert all(one["minReplicas"] <= one["replicas"] <= one["maxReplicas"] for one in groups.values())
    gpus = {
        name for name, one in groups.items()
        if "nvidia.com/gpu" in one["template"]["spec"]["containers"][0]["resources"]["limits"]
    }  # fmt: skip
    assert gpus == {"gpu"}
    assert groups["gpu"]["minReplicas"] >= 1  # with none there, extraction would go to the CPUs
    assert groups["flows"]["rayStartParams"] == {"num-cpus": "0"}
    for pod in pods():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert {"configMapRef": {"name": settings["metadata"]["name"]}} in container["envFrom"]
