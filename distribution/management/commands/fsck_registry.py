"""Check the registry: rows against rows, rows against stored bytes."""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from distribution.fsck import CHECKS, find_problems
from distribution.storage.base import StoreError


class Command(BaseCommand):
    help = "Report everything that is not as promised; exit status 1 if anything."
    requires_system_checks: list[str] = []  # they load every view

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--deep", action="store_true", help="read and hash every blob"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            problems = find_problems(deep=options["deep"])
        except StoreError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            report = {
                "problems": [asdict(problem) for problem in problems],
                "checks": list(CHECKS),
                "deep": options["deep"],
            }
            self.stdout.write(json.dumps(report))
        else:
            for problem in problems:
                self.stdout.write(f"{problem.check}: {problem.what}")
            self.stdout.write(f"{len(CHECKS)} checks, {len(problems)} problems")
        if problems:
            sys.exit(1)
