"""One node among others: peers, votes, leases, placement, and the agent that joins them."""
