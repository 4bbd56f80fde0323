"""The event solver's generated code: flows, thresholds and arrivals in continuous time."""
