"""The wires: what a change of an interface or address means for a link."""
