"""The defects of django-asgi-lifespan 0.5.4, one test or more for each: none of them is here.

The tests use the names of 0.5 alone and are a server themselves, so that they fail on 0.5.4.
"""
