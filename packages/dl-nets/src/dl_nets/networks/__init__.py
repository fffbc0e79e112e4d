"""Networks: builders of torch modules."""
