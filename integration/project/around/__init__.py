"""The application of the project, with the surroundings that people give it."""
