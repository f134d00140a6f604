"""Likelihoods of the measured data."""
