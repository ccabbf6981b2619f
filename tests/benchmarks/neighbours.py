"""Nearest neighbours in a bank of 200,000 x 768, against FAISS's flat index and a loop of `cosine_similarity`.

All three search the same bank with the same queries and threads, in turns; the loop gets a few queries, as users write
it. FAISS ranks by float32 products, so a few near-ties come in another order; what counts is that the cosines agree.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity
from threadpoolctl import threadpool_limits

from dfd_core.classifiers.search import nearest, unit_rows
from dfd_core.throughput import Measurement

N, D, QUERIES, LOOPED, RUNS = 200_000, 768, 2000, 5, 5


def measure() -> Iterator[Measurement]:
    """Queries a second, by wall clock, medians; for one neighbour and for nine."""
    import faiss
    import torch

    threads = len(os.sched_getaffinity(0))
    faiss.omp_set_num_threads(threads)
    torch.set_num_threads(threads)
    generator = np.random.default_rng(0)
    centre = 2 * generator.standard_normal(D, dtype=np.float32)
    bank, rows = (unit_rows(centre + generator.standard_normal((n, D), dtype=np.float32)) for n in (N, QUERIES))
    index = faiss.IndexFlatIP(D)
    index.add(bank)

    def loop() -> None:
        for row in rows[:LOOPED]:
            cosine_similarity(row[None], bank).argmax()

    with threadpool_limits(threads):
        for k in (1, 9):
            ours, flat, looped = _in_turns(
                lambda k=k: nearest(rows, bank, k, "cosine"), lambda k=k: index.search(rows, k), loop
            )
            agreement = np.abs(nearest(rows, bank, k, "cosine").values - index.search(rows, k)[0]).max()
            for name, seconds, count, goal in (
                ("FAISS IndexFlatIP", flat, QUERIES, 1.0),
                ("a loop of cosine_similarity", looped, LOOPED, 100.0),
            ):
                yield Measurement(
                    f"{k} nearest of {N:,} x {D}, reference {name} (queries/s)",
                    count / seconds,
                    QUERIES / ours,
                    QUERIES / ours * seconds / count,
                    goal,
                    details={"largest_difference_of_cosines": float(agreement), "threads": threads},
                )


def _in_turns(*searches: Callable[[], Any]) -> list[float]:
    """Median seconds of each; the first turn warms up."""
    seconds: list[list[float]] = [[] for _ in searches]
    for _ in range(RUNS + 1):
        for times, search in zip(seconds, searches, strict=True):
            started = time.perf_counter()
            search()
            times.append(time.perf_counter() - started)
    return [statistics.median(times[1:]) for times in seconds]


if __name__ == "__main__":
    for one in measure():
        print(one.as_json(), flush=True)
