"""Random stories of a server: resources, load, and OS signals at random moments."""
