"""The third vote: to which part of a cluster a witness gives it, and how that is asked and told."""
