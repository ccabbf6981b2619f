"""Evaluation: which samples fit and which test, scores, and every number made from them."""

from dfd_core.evaluation.matrices import Matrix, matrices
from dfd_core.evaluation.measuring import EvaluationSpec
from dfd_core.evaluation.metrics import METRICS, Metric
from dfd_core.evaluation.protocols import ProtocolSpec, TrainingSet, training_sets, untrainable
from dfd_core.evaluation.results import RESULTS_SCHEMA, Rules, evaluate
from dfd_core.evaluation.samples import Samples
from dfd_core.evaluation.scoring import SCORES_SCHEMA, score_detector
from dfd_core.evaluation.training import training_rows

__all__ = [
    "METRICS",
    "RESULTS_SCHEMA",
    "SCORES_SCHEMA",
    "EvaluationSpec",
    "Matrix",
    "Metric",
    "ProtocolSpec",
    "Rules",
    "Samples",
    "TrainingSet",
    "evaluate",
    "matrices",
    "score_detector",
    "training_rows",
    "training_sets",
    "untrainable",
]
