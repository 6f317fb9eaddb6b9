"""The Django app of the project."""
