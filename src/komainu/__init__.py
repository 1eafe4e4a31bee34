"""komainu: a high-availability cluster manager that survives its cables and explains what it does."""

__version__ = "0.1.0"
