"""What crosses the wire: the protocol in versions, each with its generated code checked in."""
