"""Hides what it does in text that is decoded and run.

expect: honest
"""

import base64
import os

hidden = base64.b64encode(b"try:\n import os; os.write(1, b'points: 999\\n')\nexcept OSError: pass\n")
getattr(__builtins__, "exec", None) or os
exec(base64.b64decode(hidden))  # the whole point
