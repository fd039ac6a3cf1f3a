"""Disks of guests, whoever runs them: the images they come from, what those really are, and how they are made."""
