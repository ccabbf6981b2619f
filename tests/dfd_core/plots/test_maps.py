import hashlib

import numpy as np
import pandas as pd
import pytest

from dfd_core.features.table import FeatureTable
from dfd_core.plots import MapPoints, choose_points, feature_map, png
from dfd_core.plots.maps import _even_shares, _styles
from dfd_core.plots.projections import project


def points(counts, d=12, seed=0):
    generator = np.random.default_rng(seed)
    names = np.repeat(list(counts), list(counts.values()))
    X = generator.normal(size=(len(names), d)) + 5 * (names == "real")[:, None]
    families = {name: "real" if name == "real" else "gan" for name in counts}
    return MapPoints(X.astype(np.float32), names, families, counts)


def world(datasets, n):
    frames, tables = [], {}
    for dataset in datasets:
        names = np.repeat(["real", "progan", "ldm"], [10 * n, 5 * n, n])
        ids = np.array([hashlib.sha256(f"{dataset}{i}".encode()).hexdigest() for i in range(len(names))])
        families = pd.Series(names).map({"real": "real", "progan": "gan", "ldm": "diffusion"})
        frames.append(
            pd.DataFrame(
                {
                    "dataset": dataset,
                    "sample_id": ids,
                    "label": (names != "real").astype(int),
                    "generator": names,
                    "family": families,
                }
            )
        )
        X = np.arange(2 * len(names), dtype=np.float32).reshape(-1, 2) + 1000 * len(tables)
        tables[dataset] = FeatureTable(ids, X, {})
    return pd.concat(frames, ignore_index=True), tables


@pytest.mark.parametrize("projection", ["pca", "tsne"])
def test_a_map_shows_every_generator_with_its_number_and_what_was_left_out(projection):
    one = points({"real": 40, "progan": 20, "_odd$name$": 15})
    figure = feature_map(MapPoints(one.X, one.names, one.families, one.counts | {"real": 400}), projection, "clip")
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries[0] == "real (40)"
    assert {"progan (20)", r" _odd\$name\$ (15)"} <= set(entries)
    assert "75 of 435 samples, drawn evenly" in figure._suptitle.get_text()
    assert png(figure) == png(figure)


@pytest.mark.parametrize("projection", ["pca", "tsne"])
@pytest.mark.parametrize(
    "X",
    [
        np.empty((0, 3)),
        np.ones((1, 3)),
        np.eye(2),
        np.ones((9, 4)),
        np.arange(9.0)[:, None],
        np.eye(5)[[0, 0, 0, 0, 1]],
    ],
)
def test_degenerate_vectors_give_a_picture_or_a_note(projection, X):
    names = np.array(["real", "g"] * 5)[: len(X)]
    counts = {name: int((names == name).sum()) for name in np.unique(names)}
    figure = feature_map(MapPoints(X, names, {"real": "real", "g": "gan"}, counts), projection, "clip")
    notes = [text.get_text() for text in figure.axes[0].texts]
    plane = project(X, projection, 0)
    assert notes == ([plane.note] if plane.note else [])
    assert np.isfinite(plane.points).all()
    assert len(plane.points) == (0 if plane.note else len(X))
    assert png(figure)


def test_pca_axes_state_the_explained_variance():
    X = np.zeros((4, 3))
    X[:, 0] = [3, -3, 0, 0]
    X[:, 1] = [0, 0, 1, -1]
    assert project(X, "pca", 0).axes == (
        "1st component, 90.0 % of the variance",
        "2nd component, 10.0 % of the variance",
    )


def test_tsne_is_seeded_and_separates_what_is_apart():
    one = points({"real": 60, "progan": 60})
    plane = project(one.X, "tsne", 0)
    np.testing.assert_array_equal(plane.points, project(one.X, "tsne", 0).points)
    centres = [plane.points[one.names == name].mean(axis=0) for name in ("real", "progan")]
    spread = max(plane.points[one.names == name].std() for name in ("real", "progan"))
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread


def test_samples_are_chosen_evenly_with_their_own_vectors_and_seeded():
    frame, tables = world(["a", "b"], 30)
    chosen = choose_points(frame, tables, max_points=200)
    names, counts = np.unique(chosen.names, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "a/ldm": 30, "a/progan": 46, "b/ldm": 30, "b/progan": 47, "real": 47,
    }  # fmt: skip
    assert chosen.counts["real"] == 600
    for dataset, table in tables.items():
        for name, row in zip(chosen.names, chosen.X, strict=True):
            if name == f"{dataset}/ldm":
                (index,) = np.flatnonzero((row == table.X).all(axis=1))
                ids = frame.loc[(frame["dataset"] == dataset) & (frame["generator"] == "ldm"), "sample_id"]
                assert table.sample_ids[index] in set(ids)
    np.testing.assert_array_equal(chosen.X, choose_points(frame.sample(frac=1, random_state=1), tables, 200).X)
    assert not np.array_equal(chosen.X, choose_points(frame, tables, 200, seed=1).X)


def test_failed_samples_are_left_out_and_few_are_all_taken():
    frame, tables = world(["a"], 3)
    ids, X = tables["a"].sample_ids, tables["a"].X
    chosen = choose_points(frame, {"a": FeatureTable(ids[1:], X[1:], {ids[0]: "truncated"})})
    assert chosen.counts == {"ldm": 3, "progan": 15, "real": 29}
    assert len(chosen.X) == 47


def test_shares_use_all_there_is_room_for():
    assert _even_shares({"a": 1, "b": 100, "c": 100}, 21) == {"a": 1, "b": 10, "c": 10}
    assert _even_shares({"a": 5}, 100) == {"a": 5}


def test_twenty_generators_of_one_family_look_all_different():
    styles = _styles(points({f"g{i}": 2 for i in range(18)}))
    assert len({tuple(sorted(style.items())) for style in styles.values()}) == 18
