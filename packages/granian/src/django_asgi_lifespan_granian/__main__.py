"""Run the command: ``python -m django_asgi_lifespan_granian``."""

from .command import main

if __name__ == "__main__":
    main()
