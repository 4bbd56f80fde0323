"""Batches: what a run is given, checked and brought onto the solver's time grid."""
