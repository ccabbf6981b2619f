import csv
import io
import re

import pytest

from dfd_core.reports.latex import escape, latex
from dfd_core.reports.tables import Table, percent, text_table, with_interval

TABLE = Table(("name", "value"), (("a|b", "1.0"), ("long name", "–")), "Caption")
ODD = Table(
    ("50 % & more", r"a\b"),
    (("[x] {y}", "93.1 [90.2, 95.4]"), ("* _^~$#<>|", "⚠ 61.0"), ('“ein” "Größe"', "–")),
    "A_b → c",
    ("† 100 %",),
    "odd",
)


def test_markdown_lines_up_and_escapes_bars():
    assert TABLE.markdown() == (
        "**Caption**\n\n| name      | value |\n| --------- | ----: |\n| a\\|b      |   1.0 |\n| long name |     – |\n"
    )


def test_a_terminal_gets_plain_columns():
    assert text_table(TABLE).splitlines() == [
        "Caption",
        "name       value",
        "----------------",
        "a|b          1.0",
        "long name      –",
    ]


def test_a_table_without_rows_is_a_table():
    assert Table(("a", "b"), ()).markdown() == "| a   | b   |\n| --- | --- |\n"
    assert text_table(Table(("a", "b"), ())) == "a  b\n----"
    assert Table(("a", "b"), ()).csv() == "a,b\n"
    assert r"\begin{tabular}{ll}" in latex(Table(("a", "b"), ()))


def test_notes_stand_below_the_table():
    assert ODD.markdown().rstrip().endswith("\n\n† 100 %")
    assert text_table(ODD).splitlines()[-1] == "† 100 %"


def test_csv_comes_back_as_it_went():
    assert [tuple(row) for row in csv.reader(io.StringIO(ODD.csv()))] == [ODD.header, *ODD.rows]


def test_intervals_stand_behind_values_where_there_are_any():
    nan = float("nan")
    assert with_interval(0.931, 0.902, 0.954) == "93.1 [90.2, 95.4]"
    assert with_interval(0.931, nan, 0.954) == percent(0.931) == "93.1"
    assert with_interval(nan, 0.1, 0.2) == "–"
    assert with_interval(0.5, float("-inf"), float("inf")) == "50.0"


def test_long_tables_say_where_the_rest_is():
    long = Table(("a",), tuple((str(i),) for i in range(5)), name="long")
    assert long.beginning(5) == long
    assert long.beginning(2).rows == (("0",), ("1",))
    assert "2 of 5 rows shown" in long.beginning(2).notes[-1]
    assert "tables/long.csv" in long.beginning(2).notes[-1]


def cells_of(text):
    """Cells of a tabular, read back by its own rules: an escaped sign is one sign, `&` and two backslashes divide."""
    body = text[text.index(r"\toprule") + len(r"\toprule") : text.index(r"\bottomrule")].replace(r"\midrule", "")
    signs = {r"\textbackslash{}": "\\", r"\textasciicircum{}": "^", r"\textasciitilde{}": "~", r"\textless{}": "<",
             r"\textgreater{}": ">", r"\textbar{}": "|", r"\textquotedbl{}": '"', r"\textendash{}": "–"}  # fmt: skip
    pattern = "|".join([*map(re.escape, signs), r"\\\\", r"\\[{}$&#%_]", r"&", r"\{\}"])
    rows, cell, row, end = [], "", [], 0
    for found in re.finditer(pattern, body):
        cell, sign, end = cell + body[end : found.start()], found.group(), found.end()
        if sign == "&":
            row, cell = [*row, cell.strip()], ""
        elif sign == r"\\":
            rows, row, cell = [*rows, [*row, cell.strip()]], [], ""
        else:
            cell += signs.get(sign, sign[1:] if sign[0] == "\\" else "")
    return rows


def test_latex_can_be_read_back():
    text = latex(ODD)
    rows = cells_of(text)
    assert rows[0] == list(ODD.header)
    assert rows[1] == ["[x] {y}", "93.1 [90.2, 95.4]"]
    assert rows[2] == ["* _^~$#<>|", "(!) 61.0"]
    assert rows[3] == list(ODD.rows[2])
    assert re.findall(r"\\(begin|end)\{(\w+)\}", text) == [
        ("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table"),
    ]  # fmt: skip
    assert r"\begin{tabular}{lr}" in text
    assert r"\caption{A\_b $\rightarrow$ c}" in text
    assert r"\label{tab:odd}" in text
    assert "\n{}[x]" in text, "a bracket behind two backslashes would be their option"


@pytest.mark.parametrize("sign", list("\\{}$&#%_^~"))
def test_no_sign_of_latex_stays_bare(sign):
    text = escape(f"a{sign}b")
    assert text != f"a{sign}b"
    assert re.fullmatch(r"a\\([\W_]|[a-z]+\{\})b", text)
