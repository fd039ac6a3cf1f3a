"""What runs: the use cases of servers, the conductor, the agents on the hosts, and the loops that keep it moving."""
