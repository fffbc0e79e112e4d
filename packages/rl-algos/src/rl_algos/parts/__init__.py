"""Parts that several families of algorithms share."""
