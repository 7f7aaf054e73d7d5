"""Who is asking: people, organizations, teams, robots, and the tokens they use."""
