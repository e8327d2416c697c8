"""Consortium and job files, and running one job at one party."""
