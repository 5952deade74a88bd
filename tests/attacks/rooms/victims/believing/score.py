"""Repeats what the candidate says of itself, which no scorer should; what is left is how the pool reads it."""

import os
from pathlib import Path

print(f"points: {Path(os.environ['AR_MUTABLE']).read_text(errors='replace')}")
