"""The deployment of `deployments/prefect.yaml`, deployed and carried out by a real worker."""

import json
import subprocess
import sys
import time
from pathlib import Path

DEPLOYMENTS = Path(__file__).resolve().parent.parent.parent / "deployments"


def prefect(engine, *arguments, timeout_s=120):
    environment = {**engine.environment, "PREFECT_API_URL": engine.api_url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "--no-prompt", *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, cwd=DEPLOYMENTS, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def weekly_runs(engine):
    return engine.post("flow_runs/filter", deployments={"name": {"any_": ["weekly"]}})


def test_a_worker_carries_out_the_deployment(engine, tmp_path):
    prefect(engine, "work-pool", "create", "dfd", "--type", "process", "--overwrite")
    prefect(engine, "deploy", "--all")
    config = {
        "name": "deployed",
        "store": str(tmp_path / "store"),
        "datasets": [{"catalogue": "simulated", "options": {"images_per_class": 20}}],
        "split": {"train": 0.5, "validation": 0, "test": 0.5},
        "augmentations": ["none"],
        "backbones": ["spectrum"],
        "report": {"maps": False},
    }
    earlier = {run["id"] for run in weekly_runs(engine)}  # the server is shared with other tests
    prefect(engine, "deployment", "run", "run/weekly", "--param", f"config={json.dumps(config)}")
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "dfd"]
    environment = {**engine.environment, "PREFECT_API_URL": engine.api_url}
    elsewhere = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # no checkout is needed
    with subprocess.Popen(worker, env=environment, **elsewhere) as working:
        try:
            deadline = time.monotonic() + 120
            state = None
            while state not in ("Completed", "Failed", "Crashed") and time.monotonic() < deadline:
                time.sleep(1)
                own = [run["state_name"] for run in weekly_runs(engine) if run["id"] not in earlier]
                state = own[0] if own else None
        finally:
            working.kill()
    assert state == "Completed"
    assert list((tmp_path / "store" / "reports").glob("deployed-*/index.html"))
