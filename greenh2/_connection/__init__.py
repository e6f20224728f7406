"""Where a protocol meets the network: connections, the exchanges on them, and how they come to be."""
