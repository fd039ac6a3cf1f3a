"""Real machines through libvirt: what operators run in earnest."""
