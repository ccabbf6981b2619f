"""Tables for papers."""

from __future__ import annotations

from dfd_core.reports.tables import Table

_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "–": r"\textendash{}", "×": r"$\times$", "→": r"$\rightarrow$",
    "·": r"$\cdot$", "≥": r"$\geq$", "≤": r"$\leq$", "⚠": "(!)", "†": r"\dag{}", "\n": " ",
}  # fmt: skip


def escape(text: str) -> str:
    """Text that LaTeX prints as it is; other letters beyond ASCII are left to its UTF-8 input."""
    return "".join(_SIGNS.get(sign, sign) for sign in text)


def latex(table: Table) -> str:
    r"""A `table` environment with rules of the package booktabs; needs `\usepackage[T1]{fontenc}` for quotes.

    Cells that begin with `[` are protected, since `\\` would take them for its option.
    """
    columns = "".join("r" if right else "l" for right in table.numeric())
    lines = [_line(table.header), *map(_line, table.rows)]
    caption = [rf"\caption{{{escape(table.caption)}}}"] if table.caption else []
    label = [rf"\label{{tab:{table.name}}}"] if table.name else []
    notes = [rf"\par\footnotesize {escape(note)}" for note in table.notes]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}",
            r"\begin{table}",
            r"\centering\small",
            *caption,
            *label,
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def _line(cells: tuple[str, ...]) -> str:
    escaped = [escape(cell) for cell in cells]
    if escaped and escaped[0].startswith(("[", "*")):
        escaped[0] = "{}" + escaped[0]
    return " & ".join(escaped) + r" \\"
