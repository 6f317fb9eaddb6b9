import os

SECRET_KEY = "for the quickstart only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["weather"]
ROOT_URLCONF = "mysite.urls"
USE_TZ = True

WEATHER_URL = os.environ.get("WEATHER_URL", "http://example.org/")
