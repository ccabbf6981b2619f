import contextlib
import logging

import pytest

from dfd_core.errors import RunCancelledError
from dfd_core.features.extraction import ShardReport
from dfd_core.features.planning import ExtractionPlan
from dfd_core.features.stages import Stages
from dfd_core.progress import Bytes
from tasks import cancelling
from tasks.progress import CountProgress, ExtractionProgress

logger = logging.getLogger("test")


class Untouchable(tuple):
    """Shards of which there may be very many."""

    def __iter__(self):
        raise AssertionError("progress went through all shards")


def test_a_shard_moves_the_feature_sets_of_its_report_and_no_plan_is_searched():
    plan = ExtractionPlan((), Untouchable(), {"one": 10, "two": 0, "three": 0}, {"one": 50, "two": 50, "three": 50})
    progress = ExtractionProgress(plan, 90, logger)
    progress.on_shard(ShardReport("shard-x", "d", 20, {"one": {"empty": 1}, "two": {}}, 1, Stages(20, 2.0), "a"))
    assert [progress._percent(folder) for folder in ("one", "two", "three")] == [60.0, 40.0, 0.0]
    assert progress.changed == {"one", "two"}
    (whole, actor) = progress.throughput_rows()
    assert (whole["actor"], whole["images"], whole["failed"]) == ("all", 20, 1)
    assert (actor["actor"], actor["images/s"]) == ("a", 10.0)
    assert progress.rates.left == 70


def test_a_dashboard_out_of_reach_is_told_once_and_ends_nothing(caplog):
    progress = ExtractionProgress(ExtractionPlan((), (), {}, {}), 10, logger)

    def fail():
        raise ConnectionError("refused")

    progress._try(fail)
    progress._try(fail)
    assert [record.message for record in caplog.records] == [
        "The dashboard's progress can't be moved at the moment: refused"
    ]
    progress._try(lambda: None)
    progress._try(fail)
    assert len(caplog.records) == 2


class Table:
    """Takes the place of the one in the dashboard and keeps what it last said."""

    def write(self, rows, description):
        self.rows, self.description = rows, description


def test_what_was_done_is_shown_at_last_also_after_a_fault():
    progress = ExtractionProgress(ExtractionPlan((), (), {}, {}), 80, logger, "mine")
    assert progress.table.key == "mine-extraction"
    progress.table = Table()
    with contextlib.suppress(OSError), progress:
        progress.on_shard(ShardReport("shard-x", "d", 20, {}, 0, Stages(20, 2.0), "a"))
        raise OSError("away")
    assert "Extracted 20 of 80 images" in progress.table.description
    assert progress.table.rows[0]["images"] == 20


def test_counted_work_stops_when_it_is_asked_to():
    progress = CountProgress("things", "things", logger, 10)
    progress.advance()
    cancelling.request()
    try:
        with pytest.raises(RunCancelledError):
            progress.advance()
    finally:
        cancelling.reset()


def test_bytes_are_told_with_their_rate_and_what_is_left():
    progress = CountProgress("archive x", "files", logger)
    progress.update(Bytes(10**9), Bytes(5 * 10**9))
    began, there = progress.began_s, progress.there
    assert there == 10**9
    progress.update(Bytes(2 * 10**9), Bytes(5 * 10**9))
    assert progress._line(began + 10) == "archive x: 2 GB of 5 GB, 100 MB/s, about 30 s left"
    progress.update(Bytes(10), Bytes(3000))  # another archive: what came before says nothing of its rate
    assert progress._line(began + 10) == "archive x: 10 bytes of 3 kB"
    progress.update(1000, 20_000)
    assert progress._line(began + 10) == "archive x: 1,000 of 20,000 files"


@pytest.mark.parametrize(
    ("size", "told"), [(0, "0 bytes"), (999, "999 bytes"), (999_999, "1 MB"), (5_371_000, "5.37 MB"), (10**12, "1 TB")]
)
def test_sizes_as_people_say_them(size, told):
    assert f"{Bytes(size)}" == told
