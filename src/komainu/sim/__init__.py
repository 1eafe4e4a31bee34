"""The time machine: whole clusters of real cores in a made-up world on a virtual clock."""
