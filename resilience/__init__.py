"""Room three: hazards and what they touch."""
