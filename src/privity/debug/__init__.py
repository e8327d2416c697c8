"""Looking at a program: where values leave their range, what each line costs, what a run will cost."""
