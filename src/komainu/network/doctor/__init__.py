"""The doctor: what a machine's settings would do to the cluster on the day a cable is pulled."""
