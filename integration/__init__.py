"""The matrix: every server as a real process, and what holds under each."""
