"""Classes of texts: sentiment, topics, questions; one label or several."""
