"""One node of the cluster: peers, votes, leases, placement, and the agent that combines them."""
