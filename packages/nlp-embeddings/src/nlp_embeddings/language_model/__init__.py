"""Language models: the next token of a text, and texts drawn token by token."""
