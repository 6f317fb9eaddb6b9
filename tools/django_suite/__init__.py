"""Runs Django's own tests with our handler in the place of Django's."""
