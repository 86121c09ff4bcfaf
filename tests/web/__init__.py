"""A floating address and nginx on three nodes in network namespaces: how long is it gone?"""
