import os

SECRET_KEY = "for the example only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "django_asgi_lifespan_uvicorn",
    "django.contrib.sites",
    "django.contrib.flatpages",
    "search",
]
SITE_ID = 1
ROOT_URLCONF = "website.urls"
ASGI_APPLICATION = "website.asgi.application"
USE_TZ = True

DATABASES = {
    "default": {
        "ENGINE": os.environ.get("DATABASE_ENGINE", "django.db.backends.sqlite3"),
        "NAME": os.environ.get("DATABASE_NAME", "site.sqlite3"),
        "HOST": os.environ.get("DATABASE_HOST", ""),
        "USER": os.environ.get("DATABASE_USER", ""),
    }
}

WEATHER_URL = os.environ.get("WEATHER_URL", "http://127.0.0.1:9000")
