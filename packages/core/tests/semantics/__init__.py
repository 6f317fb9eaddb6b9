"""The promises of a lifespan, a file a promise: the application under the driver, no server."""
