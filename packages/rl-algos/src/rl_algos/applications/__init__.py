"""Small tasks of traffic, trading, medicine and recommendation, each with a best policy that is known, or a strong baseline."""
