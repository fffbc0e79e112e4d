"""A plugin whose sound components pass every check of the conformance kit, and whose other components have one fault each."""
