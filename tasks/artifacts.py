"""Tables and images in the Prefect dashboard."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import create_image_artifact, create_progress_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

MAX_ROWS = 500


def artifact_key(*parts: str) -> str:
    """A key of lower case letters, digits and dashes; long ones end in a digest, so that they stay distinct."""
    key = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    return key if len(key) <= 80 else f"{key[:67]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


class LiveTable:
    """One table in the dashboard whose rows are replaced as work goes on.

    Args:
        key: Its name there.
        title: What it shows; the first line of its description.
    """

    def __init__(self, key: str, title: str) -> None:
        self.key, self.title = artifact_key(key), title
        self.artifact: UUID | None = None

    def write(self, rows: Sequence[Mapping[str, Any]], description: str) -> None:
        """Shows these rows instead of the earlier ones; past 500 they are cut."""
        shown = [dict(row) for row in rows[:MAX_ROWS]]
        text = f"{self.title}\n\n{description}"
        if self.artifact is None:
            made = create_table_artifact(table=shown, key=self.key, description=text)
            self.artifact = cast("UUID", made)
            return
        with get_client(sync_client=True) as client:
            client.update_artifact(self.artifact, ArtifactUpdate(data=json.dumps(shown), description=text))


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
