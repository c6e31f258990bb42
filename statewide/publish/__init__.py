"""The window to the street: the published views as OGC API Features and Tiles, and the map.

Reads the schema `published` as the role `statewide_api` and nothing else; writes nothing.
"""
