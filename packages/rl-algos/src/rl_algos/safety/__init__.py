"""Learning within limits: tasks with a cost beside the reward, agents that hold it under a limit, shields, and risk."""
