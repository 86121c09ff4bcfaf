"""The protocol between the processes of one node, over unix sockets."""
