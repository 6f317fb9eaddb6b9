"""A Django app whose views use the database."""
