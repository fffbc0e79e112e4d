"""Videos in words: captions of clips, actions, key frames, and a search for what is seen when."""
