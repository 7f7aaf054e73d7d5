"""Pages of a namespace: profile, teams, people, robots, defaults, audit, settings."""
