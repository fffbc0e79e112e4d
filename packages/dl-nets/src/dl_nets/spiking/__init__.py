"""Networks of spiking neurons, learned by surrogate gradients."""
