"""Nova's API, v2.1 with microversions, at `/compute`. `app` is the application, `routes` what answers which path."""
