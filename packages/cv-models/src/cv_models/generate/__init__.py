"""Pictures from noise, from other pictures, and from smaller ones."""
