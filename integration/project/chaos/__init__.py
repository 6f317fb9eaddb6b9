"""The Django app of random stories: resources, receivers and views as ``CHAOS`` describes them."""
