"""Who may do what with a repository, and why: decisions, grants, defaults, access."""
