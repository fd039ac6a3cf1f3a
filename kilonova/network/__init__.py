"""Where servers are plugged in. The embedded network is one flat one, known to every server of the cloud."""
