from flows.terminal import format_table

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
