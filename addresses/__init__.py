"""Room two: address points (its table stands in the law; its commands come with their own issue)."""
