"""A short run of tools/fuzz_protocol.py, with the same requests every time."""

from tests import make
from tests.registry_client import RegistryClient
from tests.servers import BerthServer
from tools.fuzz_protocol import Fuzzer

REQUESTS = 400


def test_no_hostile_request_is_a_failure_of_the_server(
    registry: BerthServer, alice: RegistryClient
) -> None:
    """Each of them is answered, and none by a status of 500 or more (B2 to B8)."""
    fuzzer = Fuzzer(alice, f"{alice.username}/{make.unique('fuzz')}")
    fuzzer.prepare()
    log_size = registry.log_size()
    fuzzer.run(REQUESTS, number=11)
    assert fuzzer.failures == []
    assert sum(fuzzer.statuses.values()) >= REQUESTS
    assert len(fuzzer.statuses) > 5  # it gets past the gate
    assert "Traceback" not in registry.log_tail(log_size, limit=10**6)
