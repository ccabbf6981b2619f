"""A fitted hierarchy: real or generated, then the family, then the generator within its family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from dfd_core.detectors.files import from_bytes, to_bytes
from dfd_core.detectors.hierarchy_node import Node, NodeSummary, fit_node
from dfd_core.detectors.hierarchy_rows import checked, families_of, generated_rows
from dfd_core.detectors.hierarchy_spec import GENERATED, REAL, HierarchySpec, Level, merged
from dfd_core.errors import EvaluationError, StoreError
from dfd_core.specs import Spec
from dfd_core.storage import Store


class HierarchySummary(Spec):
    """What is known of a fitted hierarchy.

    Attributes:
        spec: What it was made from.
        dimension: The width D of the vectors it takes.
        generators: The generators it was trained on, each with the name under which it counts.
        families: The family of each such name.
        nodes: Its decisions, from the top.
    """

    spec: HierarchySpec
    dimension: int
    generators: dict[str, str]
    families: dict[str, str]
    nodes: tuple[NodeSummary, ...]

    def notes(self) -> tuple[str, ...]:
        """What a reader of its results must know."""
        return tuple(note for node in self.nodes for note in node.notes)


@dataclass(frozen=True)
class HierarchyPrediction:
    """What a hierarchy says of N samples.

    Attributes:
        generated: (N,) float64, the first level's score, as of any detector: higher means more likely generated.
        label: By level (N,) names: `real`, `generated`, a family, a generator, or `unknown`. What is `real` or
            `unknown` at one level is so at those below.
        score: By level (N,) float64, the highest score there, which `unknown_below` is held against; NaN where the
            answer was already given above.
    """

    generated: np.ndarray
    label: Mapping[Level, np.ndarray]
    score: Mapping[Level, np.ndarray]


class Hierarchy(BaseEstimator):  # type: ignore[misc]
    """Decides from the top: a mistake above can't be mended below.

    Each decision has a classifier of its own, fitted on the rows of its classes alone: the families on generated rows,
    the generators of a family on the rows of that family. A decision with one class is trivial: everything that gets
    there is that class, with score 1.

    Args:
        spec: Its levels.

    Attributes:
        summary_: What is known of it.
        nodes_: The decisions by level and family (empty above the generators).
        classes_: [0, 1], as of any detector.
        n_features_in_: D.
    """

    def __init__(self, spec: HierarchySpec) -> None:
        self.spec = spec

    def fit(
        self,
        X: np.ndarray,
        label: np.ndarray,
        family: np.ndarray,
        generator: np.ndarray,
        group: np.ndarray | None = None,
    ) -> Self:
        """Fits all decisions.

        Args:
            X: (N, D) float32, finite.
            label: (N,) 0 real, 1 generated.
            family: (N,) family of each generated row; those of reals don't count.
            generator: (N,) likewise.
            group: (N,) rows of one group are held out together where a threshold is found; without it each is its own.

        Raises:
            EvaluationError: Rows that can't be trained on, or subfamilies that don't fit them.
        """
        X = checked(X, f"the training rows of {self.spec.name}")
        fake = generated_rows(label, len(X), self.spec.name)
        group = np.arange(len(X)) if group is None else np.asarray(group)
        kinds = families_of(generator[fake], family[fake])
        names = merged(self.spec.merge, kinds, trained=True)
        families = {names[one]: kind for one, kind in sorted(kinds.items())}
        own = np.array([names[one] if made else REAL for one, made in zip(generator, fake, strict=True)], dtype=object)
        nodes = [self._node("real", None, (REAL, GENERATED), (X, np.where(fake, GENERATED, REAL), group))]
        kinds_of_all = tuple(sorted(set(families.values())))
        nodes.append(self._node("family", None, kinds_of_all, (X[fake], family[fake], group[fake])))
        for kind in kinds_of_all:
            inside = fake & (family == kind)
            within = tuple(sorted(one for one in families if families[one] == kind))
            nodes.append(self._node("generator", kind, within, (X[inside], own[inside], group[inside])))
        self.summary_ = HierarchySummary(
            spec=self.spec,
            dimension=X.shape[1],
            generators=dict(sorted(names.items())),
            families=dict(sorted(families.items())),
            nodes=tuple(node.summary for node in nodes),
        )
        return self._with(nodes)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, 2) float64: the scores of real and of generated, as of any binary classifier."""
        return self._asked("real", None).scores(self._checked(X))

    def predict(self, X: np.ndarray) -> HierarchyPrediction:
        """What the hierarchy says of vectors (N, D), level by level.

        Raises:
            EvaluationError: The width is another than in training, or values are not finite.
        """
        X = self._checked(X)
        first = self._asked("real", None)
        scores = first.scores(X)
        real, real_score = first.answer(scores)
        generated = np.flatnonzero(real == GENERATED)
        family, family_score = real.copy(), np.full(len(X), np.nan)
        family[generated], family_score[generated] = self.decide(X[generated], "family")
        generator, generator_score = family.copy(), np.full(len(X), np.nan)
        for kind in self._asked("family", None).summary.names:
            own = generated[family[generated] == kind]
            generator[own], generator_score[own] = self.decide(X[own], "generator", kind)
        return HierarchyPrediction(
            scores[:, 1],
            {"real": real, "family": family, "generator": generator},
            {"real": real_score, "family": family_score, "generator": generator_score},
        )

    def decide(self, X: np.ndarray, level: Level, family: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """One decision by itself, whatever is said above it.

        Args:
            X: (N, D) float32.
            level: Its level.
            family: The family whose generators are told apart, at the level `generator`.

        Returns:
            Names (N,) object, `unknown` among them, and the highest scores (N,) float64.

        Raises:
            EvaluationError: There is no such decision, or the vectors don't fit.
        """
        node = self._asked(level, family)
        return node.answer(node.scores(self._checked(X)))

    def save(self, store: Store, path: str) -> str:
        """Writes the hierarchy, without pickle; the same hierarchy gives the same bytes.

        Returns:
            The file's address.
        """
        check_is_fitted(self)
        nodes = [{"reducer": node.reducer, "models": node.models} for node in self.nodes_.values()]
        return store.write_bytes(path, to_bytes({"summary": self.summary_.model_dump_json(), "nodes": nodes}))

    @classmethod
    def load(cls, store: Store, path: str) -> Hierarchy:
        """Reads a hierarchy; only types that dfd knows are brought to life.

        Raises:
            StoreError: The file is missing, is no hierarchy, or holds unknown types.
        """
        data = store.read_bytes(path)
        try:
            parts = from_bytes(data)
            summary = HierarchySummary.model_validate_json(parts["summary"])
            pairs = zip(summary.nodes, parts["nodes"], strict=True)
            self = cls(summary.spec)
            self.summary_ = summary
            return self._with([Node(node, part["reducer"], part["models"]) for node, part in pairs])
        except Exception as error:
            raise StoreError(
                f"{store.url(path)} is not a hierarchy that this version can read ({error}); delete it and fit it "
                "again."
            ) from error

    def _with(self, nodes: list[Node]) -> Self:
        self.nodes_ = {(node.summary.level, node.summary.family or ""): node for node in nodes}
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = self.summary_.dimension
        return self

    def _node(
        self, level: Level, family: str | None, names: tuple[str, ...], rows: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> Node:
        """One decision between names, from its rows' vectors, names and groups."""
        summary = NodeSummary(
            level=level,
            family=family,
            names=names,
            chosen=self.spec.at(level),
            threshold=self.spec.unknown_below[level],
        )
        X, name, group = rows
        place = {one: code for code, one in enumerate(names)}
        return fit_node(summary, X, np.array([place[one] for one in name], dtype=np.int64), group, self.spec.seed)

    def _asked(self, level: Level, family: str | None) -> Node:
        check_is_fitted(self)
        try:
            return self.nodes_[level, family or ""]
        except KeyError:
            raise EvaluationError(
                f"{self.spec.name} has no decision at level {level} for the family {family!r}. It was trained on the "
                f"families {', '.join(sorted(set(self.summary_.families.values())))}."
            ) from None

    def _checked(self, X: np.ndarray) -> np.ndarray:
        check_is_fitted(self)
        X = checked(X, f"the vectors that {self.spec.name} is to judge")
        if X.shape[1] != self.n_features_in_:
            raise EvaluationError(
                f"{self.spec.name} was fitted on vectors of width {self.n_features_in_}, not {X.shape[1]}. Give it "
                "vectors of the same backbone."
            )
        return X
