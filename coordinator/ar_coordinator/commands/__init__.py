"""The commands of `ar-coordinator`, one file each."""
