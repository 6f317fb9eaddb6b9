"""The matrix: runs every server as a real process, and asks the same questions of each."""
