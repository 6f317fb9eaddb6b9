"""A database backend that notes its connections."""
