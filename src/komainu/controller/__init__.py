"""Getting it done: the core that drives a transition on the coordinator."""
