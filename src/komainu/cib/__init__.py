"""What is agreed: the cluster state, the commands that change it, and its durable form."""
