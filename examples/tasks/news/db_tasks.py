from news import background
from news.headlines import headline

try:
    from django.tasks import task
except ImportError:  # before Django 6.0
    from django_tasks import task


@task
def fetch_headline(topic: str) -> str:
    return background.run(headline(topic))
