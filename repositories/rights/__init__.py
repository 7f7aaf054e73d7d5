"""Rights on repositories, and their reasons: decisions, grants, defaults, access."""
