"""Where files are: one client for each kind of address, opened by URL."""

from dfd_core.filesystems.opening import PARTIAL, missing_client, open_store, open_url, why_no_store

__all__ = ["PARTIAL", "missing_client", "open_store", "open_url", "why_no_store"]
