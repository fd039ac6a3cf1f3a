"""What the services that stand in for Keystone, Glance and Neutron share as ASGI applications.

Their addresses, bounds, refusals and frames; what they say, each of them says by itself.
"""
