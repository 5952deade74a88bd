"""What is true: the pool's rules as pure functions and values; no input, output, clock or randomness."""
