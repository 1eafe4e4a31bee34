"""The hands: the core that runs operations one at a time per resource and keeps recurring monitors."""
