"""Request threads: the policy, the leftovers of requests, and the equivalence with Django."""
