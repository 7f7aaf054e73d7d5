"""Plain SQL, the order of locks, durability, and the points of a crash."""
