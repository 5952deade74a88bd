"""What proposes: agents, the sites they change and the operators they use (none of it is written yet)."""
