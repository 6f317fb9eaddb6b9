SECRET_KEY = "for the example only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["cinema"]
ROOT_URLCONF = "cinema.urls"
USE_TZ = True
