"""The last resort: the core that confirms a lost node off before anything is taken over."""
