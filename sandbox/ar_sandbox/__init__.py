"""The sandbox: the only code of the pool that runs strangers' code; read this package first when you audit.

Not here: proposing, accepting or recording anything.
"""
