"""``python -m ar_coordinator`` is ``ar-coordinator``: how ``serve`` starts its children."""

from ar_coordinator.main import main

main()
