"""All settings of Prefect and Ray in one place.

They say where and with what a run is carried out, never what it computes, so they come from the environment and not
from a run's configuration:

| variable | meaning | default |
| --- | --- | --- |
| `PREFECT_API_URL` | the Prefect server | a local one is found or started |
| `DFD_SERVER_PORT` | first port tried for a local server | 4200 |
| `RAY_ADDRESS` | a running Ray cluster | Ray starts in this machine, on loopback only |
| `DFD_ACTORS` | extraction actors | as many as the cluster has GPUs, else CPUs |
| `DFD_CPUS_PER_ACTOR` | CPUs of an actor, and its threads | 1; beside a GPU its share of the node |
| `DFD_GPUS_PER_ACTOR` | GPUs of an actor; 0 keeps it on the CPU | 1 where the cluster has GPUs, else 0 |
| `DFD_SHARD_ATTEMPTS` | attempts before a shard is quarantined | 3 |
| `DFD_SHARD_TIMEOUT_S` | seconds for one shard, after which the attempt has failed and its actor is replaced | 21600 |
| `DFD_ASK_AFTER_S` | seconds of silence, and ten times the usual, after which an actor is asked if it lives | 300 |
| `DFD_OUTAGE_WAIT_S` | seconds to wait for a store out of reach, then 5 and 25 times as long | 1 |
| `DFD_TASK_RETRIES` | retries of a Prefect task that met a fault that may pass | 2 |
| `DFD_TASK_RETRY_DELAY_S` | seconds before the first of them, doubled each time | 5 |
"""

from __future__ import annotations

import os

from pydantic import Field, ValidationError

from dfd_core.errors import ConfigError
from dfd_core.specs import Spec

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SCHEDULER_EVENTS": "0",
}
LOOPBACK_RAY = {
    "RAY_AUTH_MODE": "disabled",  # left unset, a local start would turn it on for later clusters of this user
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every port of a local Ray on loopback only
}


class EngineSettings(Spec):
    """Where and with what a run is carried out; see the table above."""

    server_port: int = Field(4200, ge=1, le=65535)
    ray_address: str | None = None
    actors: int | None = Field(None, ge=1)
    cpus_per_actor: float | None = Field(None, gt=0)
    gpus_per_actor: float | None = Field(None, ge=0)
    shard_attempts: int = Field(3, ge=1)
    shard_timeout_s: float = Field(21600, gt=0)
    ask_after_s: float = Field(300, gt=0)
    outage_wait_s: float = Field(1, ge=0)
    task_retries: int = Field(2, ge=0)
    task_retry_delay_s: float = Field(5, ge=0)

    @classmethod
    def from_environment(cls) -> EngineSettings:
        """Reads the table's variables.

        Raises:
            ConfigError: A variable's value is invalid.
        """
        values = {name: os.environ.get(f"DFD_{name.upper()}") for name in cls.model_fields}
        values["ray_address"] = os.environ.get("RAY_ADDRESS")
        try:
            return cls.model_validate({name: value for name, value in values.items() if value})
        except ValidationError as error:
            problems = "; ".join(f"DFD_{str(p['loc'][0]).upper()}: {p['msg']}" for p in error.errors())
            raise ConfigError(f"An environment variable has an invalid value: {problems}") from error


def apply_defaults() -> None:
    """Sets what both engines read from the environment when they are imported, unless the environment says otherwise.

    Telemetry and chatter are off. Without `RAY_ADDRESS`, Ray stays on this machine and on loopback.
    """
    local = {} if os.environ.get("RAY_ADDRESS") else LOOPBACK_RAY
    for name, value in {**QUIET, **local}.items():
        os.environ.setdefault(name, value)
