"""Writes what the solution answers to each input: the candidate's room of the artifact."""

import json
import os
from pathlib import Path

import solution

inputs = json.loads(Path("inputs.json").read_text())
answers = [solution.answer(numbers) for numbers in inputs]
Path(os.environ["AR_OUT"], "answers.json").write_text(json.dumps(answers))
