"""The networks that came first: perceptrons, radial bases, Boltzmann machines and what is stacked from them."""
