"""A Django app with a Channels consumer, beside the core's test project."""
