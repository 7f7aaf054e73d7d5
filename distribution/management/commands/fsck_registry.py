"""Check the registry: rows against rows, rows against stored bytes."""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from distribution.fsck import CHECKS, run_checks
from distribution.storage.base import StoreError


class Command(BaseCommand):
    help = "Check the registry and report problems; exit with status 1 if it has any."
    requires_system_checks: list[str] = []  # they load every view

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--deep", action="store_true", help="read and hash every blob"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            findings = run_checks(deep=options["deep"])
        except StoreError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            report = {
                "problems": [asdict(finding) for finding in findings],
                "checks": list(CHECKS),
                "deep": options["deep"],
            }
            self.stdout.write(json.dumps(report))
        else:
            for finding in findings:
                self.stdout.write(f"{finding.check}: {finding.what}")
            self.stdout.write(f"{len(CHECKS)} checks, {len(findings)} problems")
        if findings:
            sys.exit(1)
