"""Board games of two players: rules, tasks against an opponent, and opponents."""
