"""Named places where a test kills the process, to see what a crash leaves behind.

docs/development/reliability.md says what must hold at each. In service BERTH_CRASH_AT
is empty, and reaching a point costs one comparison.
"""

import os
import signal

from django.conf import settings


def crash_point(point: str) -> None:
    """Kill this process with SIGKILL if the test armed this point."""
    if point == settings.BERTH_CRASH_AT:
        os.kill(os.getpid(), signal.SIGKILL)
