"""Worlds that are not the training world: parameters that vary, disturbed sensors and actuators, and corrections of a controller."""
