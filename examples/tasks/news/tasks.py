from celery import shared_task

from news import background
from news.headlines import headline


@shared_task
def fetch_headline(topic: str) -> str:
    return background.run(headline(topic))
