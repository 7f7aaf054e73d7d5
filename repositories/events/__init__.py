"""Events: recorded in the transaction of the change, kept, and filtered."""
