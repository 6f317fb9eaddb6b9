"""A module that development servers watch; a scenario touches a copy of it."""
