worker_class = "django_asgi_lifespan_gunicorn.LifespanWorker"
graceful_timeout = 40  # 24 s for requests, the rest for resources
