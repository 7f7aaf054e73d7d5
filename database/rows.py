"""Changes a row: finds which columns get another value, and saves those alone.

    changes = changes_of(team, {"name": "web", "description": team.description})
    save_changes(team, changes)          UPDATE … SET name = 'web'

For verbs that record what they changed. Without changes nothing is to be saved.
"""

from collections.abc import Mapping
from typing import Any

from django.db import models


def changes_of(row: models.Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that differ from those of the row, by column."""
    return {
        name: value for name, value in values.items() if getattr(row, name) != value
    }


def save_changes(row: models.Model, changes: Mapping[str, Any]) -> None:
    """Set these columns and save them, and no others."""
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=list(changes))
