SELECT cousub_fips, ST_X(inside), ST_Y(inside)
FROM published.towns, ST_PointOnSurface(geom_lonlat) AS inside
WHERE cousub_fips = ANY(%(towns)s)
