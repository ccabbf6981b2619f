"""What predicts the label without a look at the image: properties of files by class, and how far each goes alone."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from dfd_core.audit.findings import GENERATED, REAL, Finding, Histogram, Score
from dfd_core.audit.gathering import Evidence
from dfd_core.audit.spec import AuditSpec
from dfd_core.manifests.headers_vector import PROPERTIES, columns_of, quantisation_tables, vectors
from dfd_core.manifests.pairing import reals_of

FOLDS = 5
_SEPARABLE = 0.95
_MOST_VALUES = 12
_ALL = "all"
_PIXELS = {"dimensions": "brings both classes to one size", "channels": "brings both classes to 8-bit RGB"}
_NUMBERS = {"dimensions", "bytes", "channels", "jpeg_quality"}
_COLOUR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
_ENCODING = "encodes both classes alike"


def scores(evidence: Evidence, spec: AuditSpec) -> Iterator[Score]:
    """For each generator and property, how well a small decision tree tells its images from its reals by it alone."""
    frame, ok = evidence.frame, evidence.ok
    X = np.zeros((len(frame), 0), np.float32)
    if ok.any():
        found = vectors(evidence.headers.filter(ok))
        X = np.zeros((len(frame), found.shape[1]), np.float32)
        X[ok] = found
    for dataset, places in frame.groupby("dataset", sort=True).indices.items():
        rows = frame.iloc[places]
        for generator in sorted(set(rows.loc[rows["label"] == GENERATED, "generator"])):
            inside = _pair(rows, generator) & ok[places]
            if (rows["label"] == REAL).any():
                yield from _of_generator(str(dataset), generator, rows[inside], X[places[inside]], spec)


def check(found: Sequence[Score], histograms: Sequence[Histogram], spec: AuditSpec) -> Iterator[Finding]:
    """A finding for each generator that can be told by properties of its files."""
    for where in dict.fromkeys((score.dataset, score.generator) for score in found):
        own = [score for score in found if (score.dataset, score.generator) == where]
        telling = [score for score in own if score.prop != _ALL and _tells(score, spec)]
        if not telling:
            continue
        telling.sort(key=lambda score: -(score.auroc or 0))
        best = telling[0].auroc or 0.0
        listed = ", ".join(f"{score.prop} {score.auroc:.2f}" for score in telling)
        yield Finding(
            severity="error" if best >= _SEPARABLE else "warning", kind="shortcut", where="/".join(where),
            n=own[0].n_real + own[0].n_fake,
            message=f"Properties of the files alone tell its images from its reals (AUROC): {listed}.",
            advice=_advice([score.prop for score in telling]),
            evidence=tuple(line for s in telling for line in (*_medians(s), *_shares(histograms, where[0], s.prop))),
        )  # fmt: skip


def histograms(evidence: Evidence) -> Iterator[Histogram]:
    """The values of each property by class, for readable files."""
    ok = evidence.ok
    table = evidence.headers.filter(ok)
    columns = _values({name: table[name].to_pylist() for name in table.column_names if not name.endswith("_table")})
    columns["quantisation_tables"] = _table_names(table)
    fake = (evidence.frame["label"] == GENERATED).to_numpy()[ok]
    datasets = evidence.frame["dataset"].to_numpy()[ok]
    for dataset in sorted(set(datasets)):
        inside = datasets == dataset
        for prop, values in columns.items():
            pairs = Counter(zip(np.asarray(values, dtype=object)[inside], fake[inside], strict=True))
            names = Counter({name: pairs[name, False] + pairs[name, True] for name, _ in pairs})
            top = sorted(names, key=lambda name: (-names[name], name))[:_MOST_VALUES]
            ordered = sorted(top, key=_by_number) if prop in _NUMBERS else top
            rows = [(name, pairs[name, False], pairs[name, True]) for name in ordered]
            rest = [pair for pair in pairs if pair[0] not in top]
            if rest:
                split = [sum(pairs[pair] for pair in rest if bool(pair[1]) is label) for label in (False, True)]
                rows.append(("other", split[0], split[1]))
            yield Histogram(dataset=dataset, prop=prop, rows=tuple(rows))


def auroc_by_groups(X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int) -> float | None:
    """The mean AUROC over folds that hold whole groups, of a tree of depth 4 that weighs both classes alike.

    Means of folds, not one curve of all held-out scores: the latter lies below 0.5 where nothing can be told, since a
    fold's own share of a class is missing in its training part.

    Args:
        X: (N, D) float32.
        y: (N,) 0 or 1.
        groups: (N,) of any kind.
        seed: Of the folds.

    Returns:
        `None` where a class has fewer than two groups.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.tree import DecisionTreeClassifier

    codes = pd.factorize(groups)[0]
    n_groups = [len(np.unique(codes[y == label])) for label in (0, 1)]
    if min(n_groups) < 2:
        return None
    fold = _dealt(codes, y, min(FOLDS, *n_groups), seed)
    found = []
    for held_out in range(fold.max() + 1):
        test = fold == held_out
        if len(np.unique(y[test])) < 2 or len(np.unique(y[~test])) < 2:
            continue
        leaf = max(2, int((~test).sum()) // 100)
        tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=leaf, class_weight="balanced", random_state=0)
        found.append(roc_auc_score(y[test], tree.fit(X[~test], y[~test]).predict_proba(X[test])[:, 1]))
    return float(np.mean(found)) if found else None


def _dealt(codes: np.ndarray, y: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(N,) the fold of each row: groups are shuffled and dealt out, by which labels they hold."""
    n = codes.max() + 1
    has = [np.bincount(codes[y == label], minlength=n) > 0 for label in (0, 1)]
    order = np.random.default_rng(seed).permutation(n)
    order = order[np.argsort((has[0] + 2 * has[1])[order], kind="stable")]
    fold_of = np.empty(n, np.int64)
    fold_of[order] = np.arange(n) % folds
    return np.asarray(fold_of[codes])


def _of_generator(dataset: str, generator: str, rows: pd.DataFrame, X: np.ndarray, spec: AuditSpec) -> Iterator[Score]:
    y = (rows["label"] == GENERATED).to_numpy().astype(int)
    groups, note = rows["group"].to_numpy(), ""
    n_real, n_fake = int((y == 0).sum()), int(y.sum())
    if len(y) > spec.max_rows:
        chosen = np.sort(np.random.default_rng(spec.seed).choice(len(y), spec.max_rows, replace=False))
        X, y, groups, note = X[chosen], y[chosen], groups[chosen], f"measured on {spec.max_rows} files"
    for prop in (*PROPERTIES, _ALL):
        part = X if prop == _ALL else X[:, columns_of(prop)]
        if len(y) and (part == part[0]).all():
            value: float | None = 0.5 if 0 < y.sum() < len(y) else None
        else:
            value = auroc_by_groups(part, y, groups, spec.seed)
        why = note if value is not None else "fewer than two groups of a class"
        yield Score(
            dataset=dataset, generator=generator, prop=prop, auroc=value, n_real=n_real, n_fake=n_fake, note=why,
            medians=tuple(_sizes(part, y)) if prop == "bytes" else (),
        )  # fmt: skip


def _sizes(part: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, float, float]]:
    """Medians of the size in bytes, and of bytes per pixel, in reals and generated images."""
    if len(np.unique(y)) < 2:
        return
    real, fake = (np.median(part[y == label].astype(np.float64), axis=0) for label in (0, 1))
    yield "bytes", round(float(2 ** real[0])), round(float(2 ** fake[0]))
    yield "bytes per pixel", round(float(real[1]), 4), round(float(fake[1]), 4)


def _pair(rows: pd.DataFrame, generator: str) -> np.ndarray:
    made = (rows["label"] == GENERATED) & (rows["generator"] == generator)
    return np.asarray(made | reals_of(rows, generator), dtype=bool)


def _tells(score: Score, spec: AuditSpec) -> bool:
    """Whether an AUROC is high, and by more than two standard errors of an uninformative one."""
    if score.auroc is None or score.auroc < spec.shortcut_auroc:
        return False
    error = np.sqrt((score.n_real + score.n_fake + 1) / (12 * score.n_real * score.n_fake))
    return bool(score.auroc > 0.5 + 2 * error)


def _advice(props: Sequence[str]) -> str:
    does = dict.fromkeys(_PIXELS.get(prop, _ENCODING) for prop in props)
    text = f"Train and test under the augmentation `matched`, which {' and '.join(does)}, or pair it with other reals"
    if set(props) <= {"icc", "exif", "xmp", "ai_metadata"}:
        return "A detector that reads pixels does not see these; drop them from any that reads metadata."
    if set(props) <= {"bytes"}:
        return "Size in bytes alone can be an effect of what the images show: compare with the results under `matched`."
    return f"{text}. The probe `metadata` shows beside each result what is left."


def _medians(score: Score) -> Iterator[str]:
    for what, real, fake in score.medians:
        yield f"{what}: median {real:,.10g} of real, {fake:,.10g} of generated files"


def _shares(found: Sequence[Histogram], dataset: str, prop: str) -> Iterator[str]:
    """How the most telling value of a property is spread, as a line of evidence."""
    for histogram in found:
        if histogram.dataset != dataset or histogram.prop != prop:
            continue
        n_real, n_fake = histogram.totals()
        value, real, fake = max(histogram.rows, key=lambda row: abs(row[1] / n_real - row[2] / n_fake))
        yield f"{prop}: {value!r} in {real} of {n_real} real, {fake} of {n_fake} generated files"


def _values(columns: dict[str, list]) -> dict[str, list[str]]:  # type: ignore[type-arg]
    """What stands on the axis of each histogram."""
    sizes = zip(columns["width"], columns["height"], strict=True)
    return {
        "format": [str(value) for value in columns["format"]],
        "dimensions": [f"{width} x {height}" for width, height in sizes],
        "bytes": [_bin(size) for size in columns["size_bytes"]],
        "channels": [f"{c} x {d} bit" for c, d in zip(columns["channels"], columns["bit_depth"], strict=True)],
        "png_colour_type": [_or_dash(_COLOUR_TYPES.get(value)) for value in columns["colour_type"]],
        "jpeg_quality": [_or_dash(value) for value in columns["quality"]],
        "chroma_subsampling": [_or_dash(value) for value in columns["subsampling"]],
        "progressive": _yes_no([a or b for a, b in zip(columns["progressive"], columns["interlaced"], strict=True)]),
        "markers": _markers(columns),
        "icc": _yes_no(columns["icc"]),
        "exif": [_or_dash(make) if there and make else _yes(there) for there, make in _rows(columns, "exif", "make")],
        "software": [_or_dash(value) for value in columns["software"]],
        "xmp": _yes_no(columns["xmp"]),
        "ai_metadata": [
            ", ".join(filter(None, ["c2pa" if there else "", marks or ""])) or "–"
            for there, marks in _rows(columns, "c2pa", "ai_metadata")
        ],
    }


def _markers(columns: dict[str, list]) -> list[str]:  # type: ignore[type-arg]
    """What a JPEG file's markers say, and how WebP is coded."""
    found = []
    for restarts, jfif, adobe, lossless in _rows(columns, "restarts", "jfif", "adobe", "lossless"):
        named = ["JFIF"] * bool(jfif) + ([] if adobe is None else [f"Adobe {adobe}"]) + ["restarts"] * bool(restarts)
        named += [] if lossless is None else ["lossless" if lossless else "lossy"]
        found.append(", ".join(named) or "–")
    return found


def _rows(columns: dict[str, list], *names: str) -> Iterator[tuple]:  # type: ignore[type-arg]
    yield from zip(*(columns[name] for name in names), strict=True)


def _yes_no(values: Sequence[bool | None]) -> list[str]:
    return [_yes(bool(value)) for value in values]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _by_number(value: str) -> tuple[bool, bool, list[int]]:
    """Values in the order of their numbers, those in larger units later, and none last."""
    numbers = [int(digits) for digits in re.findall(r"\d+", value)]
    return not numbers, "KiB" in value, numbers


def _or_dash(value: object) -> str:
    return "–" if value is None else str(value)


def _bin(size: int) -> str:
    exponent = max(0, int(size).bit_length() - 1)
    low, high = 2**exponent, 2 ** (exponent + 1)
    return f"{low // 1024} to {high // 1024} KiB" if low >= 1024 else f"{low} to {high} B"


def _table_names(table: pa.Table) -> list[str]:
    """What to call the quantisation tables of each row; there are few different ones, and many rows."""
    tables = quantisation_tables(table)
    _, first, inverse = np.unique(tables, axis=0, return_index=True, return_inverse=True)
    names = []
    for row in first.tolist():
        quality, exact = table["quality"][row].as_py(), table["quality_exact"][row].as_py()
        digest = hashlib.sha256(tables[row].tobytes()).hexdigest()[:6]
        named = f"libjpeg's of {quality}" if exact else f"others ({digest}), like {quality}"
        names.append("–" if quality is None else named)
    return [names[place] for place in inverse.ravel().tolist()]
