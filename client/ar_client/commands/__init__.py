"""The sub-commands of ``ar-pool``, one file each; not here: what they share."""
