"""The settings of a project that uses the signals."""

ALLOWED_HOSTS = ["127.0.0.1"]
DEBUG = True  # Django looks at the parameters of receivers in debug mode only
INSTALLED_APPS = ["shop.apps.ShopConfig"]
ROOT_URLCONF = "shop.urls"
SECRET_KEY = "for tests only"
