"""Learning from inputs alone: autoencoders and adversarial networks, and the tasks that judge them."""
