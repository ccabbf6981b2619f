"""Datasets: the catalogue, the ways to name one's own, and how their bytes are acquired."""
