"""Reducers: what happens to the vectors between backbone and classifier, fitted on training rows only."""

from dfd_core.reducers.registry import REDUCERS, ReducerCard, ReducerSpec

__all__ = ["REDUCERS", "ReducerCard", "ReducerSpec"]
