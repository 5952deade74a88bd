"""The parts of a live panel on a terminal: lines that fit, a frame around them, bars, and repainting in place.

Not here: what a panel shows, and the terminal itself. Needs ``rich``, which takes a tenth of a second to import:
import its modules only where a panel is about to be drawn.
"""
