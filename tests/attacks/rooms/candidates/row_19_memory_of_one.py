"""Fills the memory of one process.

expect: refused
outcomes: out_of_memory protocol
"""

blocks = []
while True:
    blocks.append(bytearray(b"x") * (16 << 20))
