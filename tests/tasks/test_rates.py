import pytest

from dfd_core.features.extraction import ShardReport
from dfd_core.features.stages import Stages
from dfd_core.statuses import QUARANTINED, TRUNCATED
from tasks.rates import Rates, failed_by_status


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def shard(worker="a", samples=10, seconds=5.0, failures=None, failed=0, **more):
    stages = Stages(samples, seconds, **more)
    return ShardReport("shard-x", "d", samples, failures or {"one": {}, "two": {}}, failed, stages, worker)


def test_the_rate_follows_what_happens_now_and_the_mean_the_whole():
    clock = Clock()
    rates = Rates(1000, clock)
    for _ in range(20):  # 100 s at 2 images/s
        clock.now += 5
        rates.add(shard())
    assert rates.current() == pytest.approx(2)
    for _ in range(10):  # 100 s at 1 image/s
        clock.now += 10
        rates.add(shard(seconds=10.0))
    assert rates.current() == pytest.approx(1)
    assert rates.mean() == pytest.approx(1.5)
    assert rates.left == 700
    assert rates.seconds_left() == pytest.approx(700)


def test_an_actor_that_joined_later_is_measured_from_its_own_start():
    clock = Clock()
    rates = Rates(1000, clock)
    for step in range(20):
        clock.now += 5
        rates.add(shard("early"))
        if step >= 18:
            rates.add(shard("late", samples=20))
    rows = {row["actor"]: row for row in rates.rows(final=True)}
    assert rows["early"]["images/s"] == 2
    assert rows["late"]["images/s"] == 4
    assert rows["all"]["images/s"] == pytest.approx((200 + 40) / 100)
    assert rates.current() == pytest.approx(6)


def test_shards_longer_than_the_window_do_not_make_the_rate_jump():
    clock = Clock()
    rates = Rates(10_000, clock)
    clock.now += 120
    rates.add(shard(samples=240, seconds=120.0))
    for _ in range(24):
        assert rates.current() == pytest.approx(2)
        clock.now += 5
    assert not rates.actors["a"].is_silent(clock.now)


def test_an_actor_that_says_nothing_for_long_is_named():
    clock = Clock()
    rates = Rates(1000, clock)
    clock.now += 5
    rates.add(shard("talks"))
    rates.add(shard("quiet"))
    for _ in range(20):
        clock.now += 5
        rates.add(shard("talks"))
    assert rates.current() == pytest.approx(2)
    assert rates.line().endswith("2 actors: 0 + 2 images/s; silent for long: quiet")
    rows = {row["actor"]: row for row in rates.rows()}
    assert rows["quiet"]["silent for"] == "2 min" or rows["quiet"]["silent for"] == "100 s"
    assert rows["talks"]["silent for"] == ""


def test_the_line_has_all_four_facts_and_sums_up_many_actors():
    clock = Clock()
    rates = Rates(2000, clock)
    clock.now += 5
    for index in range(16):
        rates.add(shard(f"n/{index}", samples=10 + index))
    line = rates.line()
    assert line.startswith(
        "Extracted 280 of 2,000 images, 56 images/s, 0 failed, 1,720 left (about 31 s); 16 actors: 2 to 5"
    )
    assert "median 3.5 images/s" in line


def test_an_image_that_fails_everywhere_counts_once_and_failures_are_told_by_status():
    failures = {"one": {TRUNCATED: 2, "empty": 1}, "two": {TRUNCATED: 2}, "three": {"non_finite": 1}}
    report = shard(failures=failures, failed=3)
    assert failed_by_status(report) == {TRUNCATED: 2, "empty": 1, "non_finite": 1}
    rates = Rates(100, Clock())
    rates.add(report)
    said = rates.failures()
    assert said == "2 truncated, 1 empty, 1 non_finite (some fail in different ways in different feature sets)"
    assert rates.rows()[0]["failed"] == rates.rows()[1]["failed"] == 3
    assert ", 3 failed, " in rates.line()


def test_what_was_given_up_or_found_is_nobodys_work():
    clock = Clock()
    rates = Rates(100, clock)
    clock.now += 5
    rates.add(shard())
    rates.add(shard("here", seconds=0.0, failures={"one": {QUARANTINED: 10}}))
    rates.add(shard("here", samples=7, seconds=0.0))
    assert set(rates.actors) == {"a"}
    assert rates.current() == pytest.approx(2)
    assert (rates.handled, rates.quarantined, rates.found) == (27, 10, 7)
    assert "27 of 100 images (10 given up, 7 found finished)" in rates.line()
    assert {row["actor"]: row["images"] for row in rates.rows()} == {
        "all": 10, "a": 10, "(given up)": 10, "(found finished)": 7,
    }  # fmt: skip


def test_columns_of_times_are_there_when_they_were_measured():
    rates = Rates(100, Clock())
    rates.add(shard())
    assert "waits for images" not in rates.rows()[0]
    assert "bottleneck" not in rates.rows(final=True)[0]
    rates = Rates(100, Clock())
    rates.add(shard("a", prepare_s=4.0, wait_s=3.0, forward_s=1.0))
    rates.add(shard("b", prepare_s=1.0, wait_s=0.5, forward_s=4.0, transfer_s=5.0))
    rates.add(shard("c", prepare_s=1.0, wait_s=0.5, forward_s=4.0, transfer_s=1.0))
    rates.add(shard("d", prepare_s=1.0, wait_s=0.5, forward_s=2.0, write_s=6.0))
    assert [row["waits for images"] for row in rates.rows()] == ["22 %", "60 %", "10 %", "10 %", "10 %"]
    assert [row["bottleneck"] for row in rates.rows(final=True)][1:] == ["decode", "transfer", "forward", "write"]
    assert [row["write s"] for row in rates.rows(final=True)] == [6.0, 0.0, 0.0, 0.0, 6.0]


def test_a_short_shard_that_comes_in_before_the_long_one_ahead_of_it_does_not_look_like_speed():
    clock = Clock()
    rates = Rates(47, clock)
    rates.add(shard(samples=15, seconds=0.011))
    clock.now += 0.003
    rates.add(shard(samples=32, seconds=3.73))
    assert rates.current() == pytest.approx(47 / 3.741)
    assert rates.mean() == pytest.approx(47 / 3.741)
    assert [row["images/s"] for row in rates.rows(final=True)] == [12.6, 12.6]
    assert "47 of 47 images, 12.6 images/s, 0 failed, 0 left; 1 actor: 12.6 images/s" in rates.line()
    assert rates.rows()[0]["left"] == "0 images"


def test_shards_that_come_in_at_one_time_were_still_computed_one_after_the_other():
    clock = Clock()
    rates = Rates(1000, clock)
    for _ in range(3):
        rates.add(shard(samples=10, seconds=2.0))
    assert rates.current() == pytest.approx(5)
    assert rates.mean() == pytest.approx(5)


def test_without_a_network_no_device_is_idle():
    rates = Rates(100, Clock())
    rates.add(shard(prepare_s=4.0, wait_s=3.0))
    row = rates.rows(final=True)[0]
    assert (row["bottleneck"], row["device idle"], row["cores to keep it busy"]) == ("decode", "", "")


def test_nothing_yet_is_said_to_be_nothing():
    rates = Rates(10, Clock())
    assert rates.line() == "Extracted 0 of 10 images, 0 images/s, 0 failed, 10 left; no actor has finished a shard yet"
    assert rates.rows()[0]["images"] == 0
