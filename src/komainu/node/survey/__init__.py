"""The doctor's hands: shells that read a machine or a tree of its files, and that write and undo remedies."""
