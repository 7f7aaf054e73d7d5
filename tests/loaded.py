"""A process that has loaded Berth, and forks one for each command that it is asked for.

    python -m tests.loaded MODULE…    servers.Loaded starts it and speaks to it

Each line of its input is a question, and each line of its output the answer:

    {"command": ["fsck_registry"], "settings": {}, "log": "/…"}   ->   {"pid": 123}
    {"ended": 123}                                                ->   {"status": 0}

A command runs as `manage.py` runs it, in a process of its own, with the settings of the
environment and what the question changes of them. Only the import of Berth is not
repeated, which takes most of a short command's time. It ends with its input, and so do
its forks.
"""

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import threading
from typing import Any

END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def main() -> None:
    load(sys.argv[1:])
    for line in sys.stdin:
        question = json.loads(line)
        if "ended" in question:
            _, status = os.waitpid(question["ended"], 0)
            say({"status": os.waitstatus_to_exitcode(status)})
            continue
        pid = os.fork()
        if not pid:
            become(**question)
            return
        say({"pid": pid})


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def load(modules: list[str]) -> None:
    """Do what manage.py does before a command, and import what commands import."""
    from registry_site.private_files import keep_new_files_private

    keep_new_files_private()
    gc.disable()  # registry_site/apps.py enables it
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
    import django

    django.setup()
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    import accounts.tokens  # noqa: F401
    import distribution.fsck  # noqa: F401
    import registry_site.celery  # noqa: F401

    MigrationLoader(None, ignore_no_migrations=True)  # it imports them all
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    assert connection.connection is None, "commands would share a connection"
    assert threading.active_count() == 1, "a fork has this thread alone"


def become(command: list[str], settings: dict[str, Any], log: str) -> None:
    """Run a command in this process, which leads a group of its own."""
    ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(output)
    os.close(nothing)
    from django.conf import settings as loaded
    from django.core.management import execute_from_command_line

    for name, value in settings.items():
        setattr(loaded, name, value)
    sys.argv = ["manage.py", *command]
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
