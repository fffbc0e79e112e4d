"""Black-box policy search: CEM, ES, CMA-ES, ARS."""
