"""The referee: takes in problems and candidates, verifies every claim, keeps git, and shows what is real."""
