"""One file for each peer: the client as its users set it up."""
