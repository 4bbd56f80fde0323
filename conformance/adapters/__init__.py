"""Programs that run the networks of the suite in other packages and compare what they find."""
