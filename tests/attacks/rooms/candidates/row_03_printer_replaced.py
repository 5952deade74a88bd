"""Replaces what turns a result into text.

expect: worse
bites: naive
"""

import json

json.dumps = lambda *_values, **_more: FAKE.splitlines()[-1]
