"""The hall: the machinery that every dataset walks through.

It knows the law (``schemas/``) and no domain. What is peculiar to parcels, addresses or hazards
lives in the rooms ``cadastral``, ``addresses`` and ``resilience``, which import the hall and never each other.
"""
