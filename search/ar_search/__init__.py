"""What proposes: agents, the places in a file that they change, and the operators they change them with.

Not here: running or scoring anything. Whoever holds an agent evaluates what it proposes and tells it the outcome.
"""
