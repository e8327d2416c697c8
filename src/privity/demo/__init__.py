"""The demonstrations that come with Privity: real data, real processes, and numbers that anyone can check."""
