"""The memory: flight records, chains of causes, and the answer to why."""
