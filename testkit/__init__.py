"""Real processes for tests: start one, ask it, stop it, and read the journal that it wrote.

Never published. `processes` starts a program and sends it OS signals, `client` sends requests,
`journal` and `gates` are shared by the test and the program under test: the program writes its
journal and holds at gates, the test reads the journal and opens the gates. `served` has the Django
project that the servers serve, `stories` the parts of its journal that recur.
"""
