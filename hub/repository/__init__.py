"""Pages of a repository: overview, tags, activity, access, settings."""
