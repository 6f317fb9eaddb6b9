"""Scenarios for a supervisor: fake resources with a journal, and the rules for each journal.

A scenario has the plan of each resource for its opening, its service and its closing, and when
the lifespan's task is cancelled. ``world.play`` runs it on the virtual clock. ``rules.violations``
reads the journal and returns each breach of the rules, as a sentence.
"""
