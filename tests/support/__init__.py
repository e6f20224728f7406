"""What the tests lean on: peers, servers, certificates, and the checks made around every test."""
