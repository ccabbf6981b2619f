"""Tables and pictures in the Prefect dashboard."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import create_image_artifact, create_progress_artifact, create_table_artifact

MAX_ROWS = 500


def artifact_key(*parts: str) -> str:
    """A key of lower case letters, digits and dashes; long ones end in a digest, so that they stay distinct."""
    key = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    return key if len(key) <= 80 else f"{key[:67]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def table_artifact(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """A table in the dashboard; past 500 rows it is cut and says so."""
    shown = [dict(row) for row in rows[:MAX_ROWS]]
    if len(rows) > MAX_ROWS:
        description += f" (the first {MAX_ROWS} of {len(rows)} rows)"
    create_table_artifact(table=shown, key=artifact_key(key), description=description)


def image_artifact(key: str, png: bytes, description: str) -> None:
    """A PNG in the dashboard, inside the artifact itself."""
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    create_image_artifact(image_url=url, key=artifact_key(key), description=description)


def start_progress(key: str, percent: float, description: str) -> UUID:
    """A bar in the dashboard, to be moved with `update_progress_artifact`."""
    return cast("UUID", create_progress_artifact(percent, key=artifact_key(key), description=description))
