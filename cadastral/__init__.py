"""Room one: parcels and assessments."""
