"""Prefect tasks: coarse units with retries, progress and artifacts, and the dispatcher on Ray."""
