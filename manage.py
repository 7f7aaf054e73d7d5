#!/usr/bin/env python
"""Berth's commands: `manage.py help` lists them."""

import gc
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from registry_site.private_files import keep_new_files_private


def main() -> None:
    keep_new_files_private()
    gc.disable()  # none of what is loaded is garbage; registry_site/apps.py enables it
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"berth: {error}")


if __name__ == "__main__":
    main()
