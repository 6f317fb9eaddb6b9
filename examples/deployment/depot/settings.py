import os

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1").split(",")
INSTALLED_APPS = ["django_asgi_lifespan_uvicorn", "django_asgi_lifespan", "depot"]
ROOT_URLCONF = "depot.urls"
ASGI_APPLICATION = "depot.asgi.application"
USE_TZ = True

ASGI_LIFESPAN = {
    "PROBES": "/",
    "DRAIN_DELAY": float(os.environ.get("DRAIN_DELAY", "0")),
    "SHUTDOWN_TIMEOUT": float(os.environ.get("SHUTDOWN_TIMEOUT", "20")),
}
