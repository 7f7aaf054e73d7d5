"""What happened: recorded in the transaction of the fact, kept, and narrowed."""
