"""The promises to projects written for django-asgi-lifespan 0.5, a file a subject."""
