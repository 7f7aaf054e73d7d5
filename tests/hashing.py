"""Password hashes that cost next to nothing: one of full cost takes 0.3 s."""

from accounts.hashing import LimitedArgon2Hasher


class CheapHasher(LimitedArgon2Hasher):
    """The same hash, with the same limits, over eight kilobytes instead of 100 MB."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1
