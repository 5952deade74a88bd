"""A donated machine: the session, the loop and the rules of donation (none of it is written yet)."""
