"""Flows: what a person starts or schedules, and the command line `dfd`."""
