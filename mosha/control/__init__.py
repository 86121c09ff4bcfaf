"""The words that the processes of one node say to each other over unix sockets."""
