"""Decision trees on shares: single ones, forests, boosting."""
