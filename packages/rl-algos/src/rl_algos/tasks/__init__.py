"""Tasks of this package: classic control as arrays of states, and games seen as pixels."""
