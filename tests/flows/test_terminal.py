import re

import yaml

from dfd_core.datasets import DATASETS
from dfd_core.progress import Bytes
from flows.terminal import Line, format_facts, format_table, narrower, plain

ROWS = [{"name": "a", "n": 1234, "share": 0.5}, {"name": "longer", "n": None, "share": 12.25}]


def test_columns_line_up_and_numbers_stand_on_the_right():
    assert format_table(ROWS).splitlines() == [
        "name        n  share",
        "------  -----  -----",
        "a       1,234    0.5",
        "longer         12.25",
    ]


def test_markdown_is_a_markdown_table():
    assert format_table(ROWS, markdown=True).splitlines() == [
        "| name   |     n | share |",
        "| ------ | ----: | ----: |",
        "| a      | 1,234 |   0.5 |",
        "| longer |       | 12.25 |",
    ]


def test_nothing_is_said_to_be_nothing():
    assert format_table([]) == "(none)"


def test_progress_is_a_line_that_moves_now_and_then_on_a_terminal_only(capsys, monkeypatch):
    Line("files")(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    line = Line("files")
    for done in range(1, 5001):
        line(done, 5000)
    line(Bytes(5_370_000), Bytes(10**7))
    shown = capsys.readouterr().err.split("\r")
    assert len(shown) < 1000
    assert shown[1].startswith("files:   0 %  1 of 5,000")
    assert any(text.startswith("files: 100 %  5,000 of 5,000") and text.endswith("\n") for text in shown)


def test_progress_says_how_fast_it_goes_and_for_how_long_still(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    now = [100.0]
    monkeypatch.setattr("flows.terminal.time.monotonic", lambda: now[0])
    line = Line("files")
    for done in (100, 140, 200):  # a hundred were there before
        line(done, 200)
        now[0] += 2
    line(Bytes(0), Bytes(10**6))
    now[0] += 2
    line(Bytes(500_000), Bytes(10**6))
    shown = [text.removesuffix("\x1b[K") for text in capsys.readouterr().err.replace("\n", "").split("\r")]
    assert shown[1:] == [
        "files:  50 %  100 of 200",
        "files:  70 %  140 of 200, 20/s, about 3 s left",
        "files: 100 %  200 of 200, 25/s",
        "files:   0 %  0 bytes of 1 MB",
        "files:  50 %  500 kB of 1 MB, 250 kB/s, about 2 s left",
    ]


def test_a_wide_table_is_turned():
    header = ("dataset", "generator", *(f"property {i}" for i in range(9)))
    row = ("faces", "gan", *("0.5" for _ in range(9)))
    assert narrower(header, [row], 2).splitlines()[:3] == [
        "            faces/gan",
        "----------  ---------",
        "property 0  0.5",
    ]
    many = [("faces", f"gan{i}", "0.5", "0.5") for i in range(9)]
    assert narrower(header[:4], many, 2).splitlines()[0] == "dataset  generator  property 0  property 1"


def test_what_is_known_of_a_card_reads_well_and_is_yaml():
    for _, card in DATASETS.items():
        text = format_facts(plain(card))
        facts = yaml.safe_load(text)
        assert facts["traps"] == list(card.traps)
        assert facts["description"] == card.description
        assert "''" not in text
        assert not re.search(r": (null|\{\}|\[\])$", text, re.MULTILINE)
