"""Spike trains, timed inputs, their files and their augmentation."""
