"""A guest's directory on its host: what it is made of, what it wrote, and room for it."""
