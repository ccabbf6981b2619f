from dfd_core.wording import counted, duration, figure, some


def test_figures_are_written_as_people_write_them():
    rates = (0, 0.2512, 5, 31.72, 99.96, 999.7, 3763, 31_700.4, 2_000_000)
    assert [figure(rate) for rate in rates] == [
        "0", "0.251", "5", "31.7", "100", "1,000", "3,760", "31,700", "2,000,000",
    ]  # fmt: skip
    assert [counted(n, "shard") for n in (0, 1, 2, 1200)] == ["0 shards", "1 shard", "2 shards", "1,200 shards"]


def test_durations():
    assert [duration(s) for s in (5.4, 99, 101, 6000, 86400)] == ["5 s", "99 s", "2 min", "1.7 h", "24.0 h"]


def test_of_many_names_the_first_are_named():
    assert [some(list("abcdef"[:n])) for n in (1, 3, 6)] == ["a", "a, b, c", "a, b, c and 3 more"]
