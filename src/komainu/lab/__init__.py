"""The rehearsal stage: clusters of namespaces, their machines and cables, and drills on them."""
