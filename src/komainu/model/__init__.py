"""The words: frozen values that every room shares, and nothing that acts."""
