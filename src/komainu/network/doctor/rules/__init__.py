"""The rules: small pure functions from a machine to findings, one file a topic, all in one table."""
