"""Several players: games in normal form, and learners that approach their equilibria by playing against themselves."""
