"""Networks that several tests share."""
