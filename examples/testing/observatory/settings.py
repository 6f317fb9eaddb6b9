SECRET_KEY = "for the example only"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "observatory"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "observatory.sqlite3"}}
ROOT_URLCONF = "observatory.urls"
USE_TZ = True
