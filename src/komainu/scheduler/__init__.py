"""What should be done: a pure function from the cluster state and the time to a plan with reasons."""
