"""Many runs in one folder: plans, workers that claim runs, comparison over seeds, and tuning."""
