"""Files of sentences, labels and pairs, and the tasks that are made of them."""
