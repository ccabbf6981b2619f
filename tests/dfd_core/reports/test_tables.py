import re

import numpy as np
import pyarrow as pa
import pytest

from dfd_core.evaluation import matrices
from dfd_core.reports.tables import Table, matrix_tables, percent, summary_table, text_table

TABLE = Table(("name", "value"), (("a|b", "1.0"), ("long name", "–")), "Caption")


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


def test_a_matrix_has_values_with_n_and_means(report):
    table, _ = matrix_tables(report.results, "accuracy")
    matrix, _ = matrices(report.results, "accuracy")
    assert table.header == ("trained on", "<b>gan|</b>", "ldm", "mean of unseen")
    own, other = map(percent, matrix.values[0])
    assert table.rows[0] == ("<b>gan|</b>", f"{own} (40)", f"{other} (39)", other)


def test_the_summary_averages_over_training_sets(report):
    each, whole = summary_table(report.results, by_training_set=True), summary_table(report.results)
    assert len(each.rows) == 2 * len(whole.rows) == 4
    assert [row[2] for row in whole.rows] == ["none → none", "none → blur"]
    place = whole.header.index("AUROC")
    expected = np.mean([float(row[place]) for row in each.rows[:2]])
    assert float(whole.rows[0][place]) == pytest.approx(expected, abs=0.1)
    assert whole.rows[0][-1] == str(40 + 39)


def test_the_summary_does_not_depend_on_the_order_of_results(report):
    backwards = report.results.take(pa.array(range(report.results.num_rows - 1, -1, -1)))
    assert summary_table(backwards) == summary_table(report.results)


def test_one_detector_without_other_generators_has_dashes(report):
    frame = report.results.to_pandas()
    own = frame[(frame["test_generator"] == "ldm") & (frame["train_generator"] == "ldm")]
    table = summary_table(pa.Table.from_pandas(own, schema=report.results.schema, preserve_index=False))
    assert re.search(r"\d", table.rows[0][4])
    assert set(table.rows[0][5:-1]) == {"–"}
