import re

import yaml

from dfd_core.datasets import DATASETS
from dfd_core.progress import Bytes
from flows.terminal import Line, format_facts, format_table, plain

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
    Line()(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    line = Line()
    for done in range(1, 5001):
        line(done, 5000)
    line(Bytes(5_370_000), Bytes(10**7))
    shown = capsys.readouterr().err.split("\r")
    assert len(shown) < 1000
    assert shown[1].startswith("  0 %  1 of 5,000")
    assert any(text.startswith("100 %  5,000 of 5,000") and text.endswith("\n") for text in shown)


def test_what_is_known_of_a_card_reads_well_and_is_yaml():
    for _, card in DATASETS.items():
        text = format_facts(plain(card))
        facts = yaml.safe_load(text)
        assert facts["traps"] == list(card.traps)
        assert facts["description"] == card.description
        assert "''" not in text
        assert not re.search(r": (null|\{\}|\[\])$", text, re.MULTILINE)
