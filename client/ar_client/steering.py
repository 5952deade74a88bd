"""What pause, resume and withdraw have in common: one change of a problem's state.

Not here: the commands themselves.
"""

from ar_client.identity import Home, home_directory
from ar_client.output import Output
from ar_client.pool import open_pool
from ar_core.documents import problem_document
from ar_core.lifecycle import ProblemState


def change_state(name: str, state: ProblemState, reason: str, output: Output) -> int:
    """Bring the problem into ``state`` and show it."""
    with open_pool(Home(home_directory())) as pool:
        card = pool.set_state(name, state, reason=reason)
    if output.as_json:
        output.document(problem_document(card))
    else:
        output.say(f"{card.name} is {card.state.value} now.")
    return 0
