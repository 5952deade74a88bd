"""The live panel of a run: what a worker does, in a frame at the foot of its owner's terminal.

Not here: the plain lines where there is no terminal (``voice``).
"""
