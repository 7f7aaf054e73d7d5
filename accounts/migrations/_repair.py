"""Repair text that was stored before unclear characters were refused."""

from typing import Any

from accounts.text import repair


def repair_columns(apps: Any, app_label: str, columns: dict[str, list[str]]) -> None:
    """Take refused characters out of these columns; text that is clear stays as it is.

    A name that consisted of nothing else becomes empty, or a dash where it has to be
    there.
    """
    for model_name, names in columns.items():
        model = apps.get_model(app_label, model_name)
        fields = {name: model._meta.get_field(name) for name in names}
        rows = model._default_manager.values_list("pk", *names)
        for pk, *texts in rows.iterator(1000):
            repaired = {}
            for (name, field), text in zip(fields.items(), texts, strict=True):
                if text and not (text.isascii() and text.isprintable()):
                    clear = repair(text).strip()
                    clear = clear or ("" if field.blank else "-")
                    if clear != text:
                        repaired[name] = clear
            if repaired:
                model._default_manager.filter(pk=pk).update(**repaired)
