"""The way in: typed requests to the daemon over its Unix socket."""
