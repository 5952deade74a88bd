"""Version 1 of the protocol: edit the .proto files, then `make proto`."""
