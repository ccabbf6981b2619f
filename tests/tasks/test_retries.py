import pytest
from prefect.states import Failed

from dfd_core.errors import (
    ConfigError,
    EngineError,
    EvaluationError,
    ManifestError,
    NoRoomError,
    PlaceUnreachableError,
    RunCancelledError,
    StoreError,
    StoreFullError,
    StoreRefusedError,
    TooManyFailuresError,
    UnknownNameError,
    WeightsError,
    WeightsUnreachableError,
)
from tasks import cancelling
from tasks.retries import may_pass, task_options


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (StoreError("out of reach"), True),
        (EngineError("the cluster is gone"), True),
        (ConnectionError("reset"), True),
        (WeightsUnreachableError("no connection"), True),
        (caused(WeightsError("another architecture"), RuntimeError("missing keys")), False),
        (caused(StoreError("read-only"), PermissionError()), False),
        (caused(StoreError("no such file"), FileNotFoundError()), False),
        (StoreFullError("full"), False),
        (StoreRefusedError("read-only"), False),
        (NoRoomError("99 CPUs"), False),
        (ConfigError("wrong"), False),
        (UnknownNameError("backbone", "x", []), False),
        (ManifestError("one class"), False),
        (PlaceUnreachableError("503"), True),
        (EvaluationError("no reals"), False),
        (TooManyFailuresError("too many"), False),
        (RuntimeError("a bug"), False),
        (RunCancelledError("stop"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_may_pass_is_tried_again(error, again):
    assert may_pass(None, None, Failed(data=error)) is again


def test_nothing_is_tried_again_once_the_run_is_to_stop():
    cancelling.request()
    try:
        assert not may_pass(None, None, Failed(data=StoreError("out of reach")))
    finally:
        cancelling.reset()


def test_delays_double(monkeypatch):
    monkeypatch.setenv("DFD_TASK_RETRIES", "3")
    monkeypatch.setenv("DFD_TASK_RETRY_DELAY_S", "2")
    options = task_options()
    assert options["retries"] == 3
    assert options["retry_delay_seconds"] == [2, 4, 8]
