"""The shell of the engine Corosync 3: its libraries, and the thread that speaks with it."""
