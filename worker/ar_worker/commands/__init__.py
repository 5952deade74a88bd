"""The sub-commands of ``ar-worker``, one module each, with the command's name."""
